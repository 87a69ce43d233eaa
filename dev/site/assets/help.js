const answers = [...document.querySelectorAll("#answers details")];

document.querySelector("#help-search").addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = document.querySelector("#help-query").value.trim().toLowerCase();
  for (const answer of answers) {
    answer.hidden = !answer.textContent.toLowerCase().includes(wanted);
    answer.open = false;
  }
  const found = answers.filter((answer) => !answer.hidden).length;
  document.querySelector("#help-status").textContent = wanted ? `${found} answers about “${wanted}”` : "";
});
if (location.hash === "#delivery") document.querySelector("#delivery").open = true;
