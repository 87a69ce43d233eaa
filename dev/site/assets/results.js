import { art, CATEGORIES, PRODUCTS } from "/assets/catalog.js";
import { card } from "/assets/shop.js";

const filters = document.querySelector("#filters");
const sort = document.querySelector("#sort");
const list = document.querySelector("#results");
const compared = new Set();
const query = (new URLSearchParams(location.search).get("q") ?? "").trim();

const ORDERS = {
  featured: () => 0,
  "price-asc": (a, b) => a.cents - b.cents,
  "price-desc": (a, b) => b.cents - a.cents,
  rating: (a, b) => b.rating - a.rating,
};

function matches(item, wanted) {
  const text = `${item.name} ${item.category} ${item.material}`.toLowerCase();
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return (
    words.every((word) => text.includes(word.replace(/s$/, ""))) &&
    (wanted.categories.length === 0 || wanted.categories.includes(item.category)) &&
    item.cents <= wanted.max * 100 &&
    item.rating >= wanted.rating &&
    (!wanted.inStock || item.inStock)
  );
}

function show() {
  const data = new FormData(filters);
  const wanted = {
    categories: data.getAll("category"),
    max: Number(data.get("max")),
    rating: Number(data.get("rating") || 0),
    inStock: data.get("stock") === "in",
  };
  const found = PRODUCTS.filter((item) => matches(item, wanted)).sort(ORDERS[sort.value]);
  document.querySelector("#max-price-out").textContent = `$${wanted.max}`;
  const names = CATEGORIES.filter((c) => wanted.categories.includes(c.id)).map((c) => c.name);
  document.querySelector("#results-title").textContent = query
    ? `Results for “${query}”`
    : names.join(", ") || "Everything";
  document.querySelector("#results-count").textContent = `${found.length} ${found.length === 1 ? "thing" : "things"}`;
  list.innerHTML =
    found
      .map((item) =>
        card(
          item,
          art(item.shape, item.colours[0].hex),
          `<label class="compare"><input type="checkbox" name="compare" value="${item.id}"${compared.has(item.id) ? " checked" : ""}> Compare <span class="visually-hidden">${item.name}</span></label>`,
        ),
      )
      .join("") || '<li class="empty">Nothing fits. Try fewer filters.</li>';
}

function showCompared() {
  const bar = document.querySelector("#compare-bar");
  bar.hidden = compared.size === 0;
  document.querySelector("#compare-text").textContent = `${compared.size} chosen to compare`;
  document.querySelector("#compare-link").href = `/compare?ids=${[...compared].join(",")}`;
}

list.addEventListener("change", (event) => {
  if (event.target.name !== "compare") return;
  if (event.target.checked) compared.add(event.target.value);
  else compared.delete(event.target.value);
  showCompared();
});
filters.addEventListener("input", show);
filters.addEventListener("reset", () => setTimeout(show, 0));
sort.addEventListener("change", show);

const category = new URLSearchParams(location.search).get("category");
for (const box of filters.querySelectorAll('[name="category"]')) box.checked = box.value === category;
show();
