// Light, dark, or as the system has it; a classic script, so that no wrong colours flash up.

(() => {
  const KEY = "habus-theme";
  const CHOICES = ["auto", "light", "dark"];
  const apply = (choice) => {
    document.documentElement.dataset.theme = choice;
  };
  const chosen = () => {
    try {
      return CHOICES.find((choice) => choice === localStorage.getItem(KEY)) ?? "auto";
    } catch {
      return "auto";
    }
  };
  apply(chosen());
  window.habusTheme = {
    get choice() {
      return document.documentElement.dataset.theme;
    },
    next() {
      const choice = CHOICES[(CHOICES.indexOf(this.choice) + 1) % CHOICES.length];
      apply(choice);
      try {
        localStorage.setItem(KEY, choice);
      } catch {
        // Then it holds until the page is left.
      }
      dispatchEvent(new Event("habus-theme"));
      return choice;
    },
  };
})();
