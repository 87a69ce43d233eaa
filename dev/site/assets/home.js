import { art, CATEGORIES, PRODUCTS } from "/assets/catalog.js";
import { card } from "/assets/shop.js";

document.querySelector("#hero-art").innerHTML = art("floor-lamp", "#c26a4a") + art("chair", "#5d7052");
document.querySelector("#departments").innerHTML = CATEGORIES.map(
  (c) => `<li><a href="/results?category=${c.id}">${art(c.shape, c.colour)}<span>${c.name}</span></a></li>`,
).join("");
document.querySelector("#featured").innerHTML = PRODUCTS.filter((p) => p.rating >= 4.7)
  .slice(0, 4)
  .map((p) => card(p, art(p.shape, p.colours[0].hex)))
  .join("");
