/** The files that a job has made. */

import { token } from "../core/access.js";
import { fetched } from "../core/api.js";
import { notice } from "../core/dialogs.js";
import { element } from "../core/element.js";
import { size } from "../core/format.js";
import { table } from "./panel.js";

/** Files with their sizes, to be downloaded. */
export function productTable(products) {
  return table(
    [["File", "file"], ["Destination"], ["Kind"], ["Size", "n"], ["", "n"]],
    products.map((product) => [element("span.mono", {}, product.name), product.destination, product.kind, size(product.size), download(product)]),
    { caption: "Files" },
  );
}

/** A link that downloads a file; with a token the file is fetched first, since a link cannot show it. */
export function download(product, words = "Download") {
  const anchor = element("a", { href: `/api/products/${product.id}`, download: product.name.split("/").at(-1) }, words);
  anchor.addEventListener("click", async (event) => {
    if (!token() || anchor.href.startsWith("blob:")) return;
    event.preventDefault();
    try {
      const answer = await fetched(`/api/products/${product.id}`);
      const address = URL.createObjectURL(await answer.blob());
      element("a", { href: address, download: anchor.download }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      notice(`${product.name}: ${error.message}`, { bad: true });
    }
  });
  return anchor;
}
