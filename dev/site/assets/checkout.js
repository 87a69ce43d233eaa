import { findProduct, formatPrice } from "/assets/catalog.js";
import { readCart, showTotals, subtotal, writeCart } from "/assets/shop.js";

const form = document.querySelector("#checkout");
const lines = readCart();
const EXPRESS_CENTS = 1200;
const deliveryCents = () => (new FormData(form).get("delivery") === "express" ? EXPRESS_CENTS : 0);

document.querySelector("#order-lines").innerHTML = lines
  .map(
    (line) =>
      `<li>${line.quantity} × ${findProduct(line.id).name}<span>${formatPrice(findProduct(line.id).cents * line.quantity)}</span></li>`,
  )
  .join("");
const show = () => {
  showTotals(document.querySelector("#totals"), lines, deliveryCents());
  document.querySelector("#password-row").hidden = !document.querySelector("#create-account").checked;
};
form.addEventListener("change", show);
show();

// Nothing that was typed leaves the page but what the next one repeats, by way of the tab's own storage.
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const error = document.querySelector("#form-error");
  const wrong = [...form.elements].find((field) => !field.checkValidity());
  for (const field of form.elements) field.toggleAttribute("aria-invalid", field === wrong);
  if (wrong) {
    error.textContent = `Please check: ${wrong.labels?.[0]?.textContent.trim().split("\n")[0] ?? wrong.name}.`;
    error.hidden = false;
    wrong.focus();
    return;
  }
  const { name, email, street, city, postcode } = Object.fromEntries(new FormData(form));
  const order = {
    name,
    email,
    address: `${street}, ${city} ${postcode}`,
    lines,
    deliveryCents: deliveryCents(),
    number: `HP-${10_000 + (subtotal(lines) % 90_000)}`,
  };
  sessionStorage.setItem("harbour-order", JSON.stringify(order));
  writeCart([]);
  location.assign("/confirmation");
});
