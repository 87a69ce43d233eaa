import { showTotals } from "/assets/shop.js";

const order = JSON.parse(sessionStorage.getItem("harbour-order") ?? "null");
if (order) {
  document.querySelector("#order-number").textContent = order.number;
  document.querySelector("#order-name").textContent = order.name;
  document.querySelector("#order-address").textContent = order.address;
  document.querySelector("#order-email").textContent = order.email;
  showTotals(document.querySelector("#totals"), order.lines, order.deliveryCents);
}
