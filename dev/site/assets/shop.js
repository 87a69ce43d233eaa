import { findProduct, formatPrice } from "/assets/catalog.js";

const KEY = "harbour-cart";

/** The cart: a list of { id, colour, size, quantity }. */
export const readCart = () => JSON.parse(localStorage.getItem(KEY) ?? "[]");

export function writeCart(lines) {
  localStorage.setItem(KEY, JSON.stringify(lines));
  showCount();
}

export function addToCart(line) {
  const lines = readCart();
  const same = lines.find((l) => l.id === line.id && l.colour === line.colour && l.size === line.size);
  if (same) same.quantity = Math.min(9, same.quantity + line.quantity);
  else lines.push(line);
  writeCart(lines);
}

export const subtotal = (lines) => lines.reduce((sum, line) => sum + findProduct(line.id).cents * line.quantity, 0);

export function showTotals(list, lines, deliveryCents) {
  const items = subtotal(lines);
  list.innerHTML = `<dt>Items</dt><dd>${formatPrice(items)}</dd><dt>Delivery</dt><dd>${deliveryCents ? formatPrice(deliveryCents) : "Free"}</dd><dt class="total">Total</dt><dd class="total">${formatPrice(items + deliveryCents)}</dd>`;
}

/** One product in a list. */
export function card(item, drawing, extra = "") {
  return `<li class="card" data-product="${item.id}"><a href="/product?id=${item.id}">${drawing}<h3>${item.name}</h3></a>
    <p class="rating" aria-label="${item.rating} out of 5, ${item.reviews} reviews">★ ${item.rating.toFixed(1)} <span>(${item.reviews})</span></p>
    <p class="price">${formatPrice(item.cents)}${item.inStock ? "" : ' <span class="out">Out of stock</span>'}</p>${extra}</li>`;
}

function showCount() {
  const count = readCart().reduce((sum, line) => sum + line.quantity, 0);
  document.querySelector("#cart-count").textContent = String(count);
}

showCount();
const query = new URLSearchParams(location.search).get("q");
if (query) document.querySelector("#search").value = query;
