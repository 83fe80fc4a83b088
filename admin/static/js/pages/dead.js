// Dead letters: under construction until the next change.

import { element, fill } from "../dom.js";

export const show = (place) => fill(place, element("h1", {}, "Dead letters"), element("p", {}, "habus dead list shows them."));
