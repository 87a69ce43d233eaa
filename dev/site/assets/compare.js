import { art, findProduct, formatPrice } from "/assets/catalog.js";

const ids = (new URLSearchParams(location.search).get("ids") ?? "").split(",");
const items = ids.map(findProduct).filter(Boolean);
const row = (name, cell) =>
  `<tr><th scope="row">${name}</th>${items.map((item) => `<td>${cell(item)}</td>`).join("")}</tr>`;

document.querySelector("#compare").innerHTML = `<caption class="visually-hidden">Things side by side</caption>
  <thead><tr><td></td>${items.map((item) => `<th scope="col">${art(item.shape, item.colours[0].hex)}<a href="/product?id=${item.id}">${item.name}</a></th>`).join("")}</tr></thead>
  <tbody>${row("Price", (item) => formatPrice(item.cents))}${row("Rating", (item) => `★ ${item.rating.toFixed(1)} (${item.reviews})`)}
  ${row("Material", (item) => item.material)}${row("Sizes", (item) => item.sizes.join(", "))}
  ${row("Colours", (item) => item.colours.map((c) => c.name).join(", "))}${row("Arrives in", (item) => `${item.days} days`)}
  ${row("In stock", (item) => (item.inStock ? "Yes" : "No"))}</tbody>`;
