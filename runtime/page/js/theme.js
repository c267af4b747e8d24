// Light or dark: the reader's system decides until the button is pressed; nothing is stored.
const toggle = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
const nameToggle = () => { toggle.textContent = isDark() ? "light" : "dark"; toggle.setAttribute("aria-label", `switch to ${toggle.textContent} colours`); };
toggle.addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; nameToggle(); });
system.addEventListener("change", nameToggle);
toggle.hidden = false;
nameToggle();
