import { art, CATEGORIES, findProduct, formatPrice, PRODUCTS } from "/assets/catalog.js";
import { addToCart } from "/assets/shop.js";

const item = findProduct(new URLSearchParams(location.search).get("id")) ?? PRODUCTS[0];
const put = (id, text) => {
  document.querySelector(`#${id}`).textContent = text;
};

document.title = `${item.name} · Harbour & Pine`;
put("product-name", item.name);
put("crumb-name", item.name);
put("product-price", formatPrice(item.cents));
put("product-rating", `★ ${item.rating.toFixed(1)} from ${item.reviews} reviews`);
put(
  "product-blurb",
  `The ${item.name.toLowerCase()} is made in small batches. It arrives in ${item.days} days, ready to use.`,
);
put("product-care", `${item.material}. Wipe with a dry cloth.`);
put("product-delivery", `Free standard delivery in ${item.days} days. Sixty days to return it unused.`);
const category = CATEGORIES.find((c) => c.id === item.category);
put("crumb-category", category.name);
document.querySelector("#crumb-category").href = `/results?category=${category.id}`;
document.querySelector("#size").innerHTML = item.sizes.map((size) => `<option>${size}</option>`).join("");
document.querySelector("#colours").innerHTML = item.colours
  .map(
    (colour, index) =>
      `<label title="${colour.name}"><input type="radio" name="colour" value="${colour.name}"${index === 0 ? " checked" : ""}><span class="swatch" style="background:${colour.hex}"></span>${colour.name}</label>`,
  )
  .join("");

const form = document.querySelector("#buy");
const draw = () => {
  const chosen = item.colours.find((colour) => colour.name === new FormData(form).get("colour"));
  document.querySelector("#product-art").innerHTML = art(item.shape, chosen.hex);
};
draw();
form.addEventListener("change", draw);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const data = new FormData(form);
  const line = {
    id: item.id,
    colour: data.get("colour"),
    size: data.get("size"),
    quantity: Number(data.get("quantity")) || 1,
  };
  addToCart(line);
  const added = document.querySelector("#added");
  added.innerHTML = `Added: ${line.quantity} × ${item.name}, ${line.colour}, ${line.size}. <a href="/cart">Go to cart</a>`;
  added.hidden = false;
});
