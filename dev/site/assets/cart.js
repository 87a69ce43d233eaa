import { art, findProduct, formatPrice } from "/assets/catalog.js";
import { readCart, showTotals, writeCart } from "/assets/shop.js";

const list = document.querySelector("#lines");

function show() {
  const lines = readCart();
  list.innerHTML =
    lines
      .map((line, index) => {
        const item = findProduct(line.id);
        const hex = item.colours.find((c) => c.name === line.colour).hex;
        return `<li data-line="${index}">${art(item.shape, hex)}<div><a href="/product?id=${item.id}">${item.name}</a><p>${line.colour}, ${line.size}</p></div>
          <label>Quantity <input type="number" min="1" max="9" value="${line.quantity}" aria-label="Quantity of ${item.name}"></label>
          <strong>${formatPrice(item.cents * line.quantity)}</strong><button type="button" class="plain" aria-label="Remove ${item.name}">Remove</button></li>`;
      })
      .join("") || '<li class="empty">Your cart is empty.</li>';
  showTotals(document.querySelector("#totals"), lines, 0);
  document.querySelector("#to-checkout").hidden = lines.length === 0;
}

const indexOf = (element) => Number(element.closest("[data-line]").dataset.line);

list.addEventListener("change", (event) => {
  const lines = readCart();
  lines[indexOf(event.target)].quantity = Math.max(1, Math.min(9, Number(event.target.value) || 1));
  writeCart(lines);
  show();
});
list.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  writeCart(readCart().toSpliced(indexOf(button), 1));
  show();
});
show();
