import type { RecordingPlan } from "./recording.ts";

/** The tasks of the sample. Names, addresses, phones and cards are made up. */
export const TASKS: readonly Omit<RecordingPlan, "site">[] = [
  {
    id: "search-and-buy",
    task: "Find a desk lamp rated 4.5 or higher, and buy the large one in Moss with express delivery.",
    steps: async (hands) => {
      const { page } = hands;
      await hands.goto("/");
      await hands.click(page.getByTestId("search-input"));
      await hands.type(page.getByTestId("search-input"), "desk lamp");
      await hands.press("Enter");
      await page.waitForURL("**/results?q=*");
      await hands.click(page.getByLabel("4.5 and up"));
      await hands.click(page.getByRole("link", { name: "Tern desk lamp" }));
      await page.waitForURL("**/product?id=tern-desk-lamp");
      await hands.hover(page.getByText("Clay", { exact: true }));
      await hands.click(page.getByText("Moss", { exact: true }));
      await hands.select(page.getByTestId("size"), "Large");
      await hands.click(page.getByText("Delivery and returns"));
      await hands.scroll(200);
      await hands.click(page.getByTestId("add-to-cart"));
      await hands.click(page.getByRole("link", { name: "Go to cart" }));
      await page.waitForURL("**/cart");
      await hands.click(page.getByTestId("checkout"));
      await page.waitForURL("**/checkout");
      await hands.click(page.getByLabel("Full name"));
      await hands.type(page.getByLabel("Full name"), "Robin Sample");
      await hands.press("Tab");
      await hands.type(page.getByLabel("Email"), "robin.sample@example.com");
      await hands.press("Tab");
      await hands.type(page.getByLabel("Phone"), "(555) 010-0199");
      await hands.click(page.getByLabel("Create an account"));
      await hands.click(page.getByLabel("Password"));
      await hands.type(page.getByLabel("Password"), "correct-horse-7");
      await hands.click(page.getByLabel("Street"));
      await hands.type(page.getByLabel("Street"), "100 Sample Street");
      await hands.press("Tab");
      await hands.type(page.getByLabel("City"), "Exampleville");
      await hands.press("Tab");
      await hands.type(page.getByLabel("Postcode"), "00000");
      await hands.select(page.getByLabel("Country"), "United States");
      await hands.click(page.getByLabel("Express, next day"));
      await hands.click(page.getByLabel("Card number"));
      await hands.type(page.getByLabel("Card number"), "4242 4242 4242 4242");
      await hands.click(page.getByLabel("Expiry"));
      await hands.type(page.getByLabel("Expiry"), "12/34");
      await hands.click(page.getByLabel("Security code"));
      await hands.type(page.getByLabel("Security code"), "737");
      await hands.click(page.getByRole("checkbox", { name: "I agree" }));
      await hands.click(page.getByTestId("place-order"));
      await page.waitForURL("**/confirmation");
      await hands.hover(page.getByRole("link", { name: "Back to the shop" }));
    },
  },
  {
    id: "filter-and-compare",
    task: "Compare the two best rated things to sit on that are in stock and cost $200 or less, and open the cheaper one.",
    steps: async (hands) => {
      const { page } = hands;
      await hands.goto("/");
      await hands.scroll(360);
      await hands.click(page.getByRole("list").getByRole("link", { name: "Seating" }));
      await page.waitForURL("**/results?category=seating");
      await hands.drag(page.getByTestId("max-price"), 0.97, 0.64);
      await hands.click(page.getByLabel("In stock only"));
      await hands.select(page.getByTestId("sort"), "Rating");
      await hands.hover(page.getByRole("link", { name: "Quay chair" }));
      await hands.click(page.getByLabel("Compare Quay chair"));
      await hands.click(page.getByLabel("Compare Skiff stool"));
      await hands.click(page.getByTestId("compare-link"));
      await page.waitForURL("**/compare?ids=*");
      await hands.scroll(240);
      await hands.hover(page.getByRole("link", { name: "Back to results" }));
      await hands.scroll(-240);
      await hands.click(page.getByRole("link", { name: "Skiff stool" }));
      await page.waitForURL("**/product?id=skiff-stool");
      await hands.click(page.getByText("Ink", { exact: true }));
      await hands.click(page.getByTestId("quantity"));
      await hands.press("Control+a");
      await hands.type(page.getByTestId("quantity"), "2");
      await hands.click(page.getByText("Materials and care"));
    },
  },
  {
    id: "return-policy-lookup",
    task: "Find out how many days there are to return a used lamp, and copy the address to send it to.",
    steps: async (hands) => {
      const { page } = hands;
      await hands.goto("/");
      await hands.scroll(900);
      await hands.click(page.getByRole("link", { name: "Help centre" }));
      await page.waitForURL("**/help");
      await hands.click(page.getByLabel("What do you need help with?"));
      await hands.type(page.getByLabel("What do you need help with?"), "refund");
      await hands.press("Enter");
      await hands.click(page.getByText("When will I get my refund?"));
      await hands.click(page.getByLabel("What do you need help with?"), 2);
      await hands.type(page.getByLabel("What do you need help with?"), "return");
      await hands.click(page.getByRole("button", { name: "Find answers" }));
      await hands.click(page.getByText("How long do I have to return something?"));
      await hands.click(page.getByRole("link", { name: "The full returns policy" }));
      await page.waitForURL("**/returns#window");
      await hands.hover(page.getByRole("link", { name: "How to send it back" }));
      await hands.click(page.getByRole("link", { name: "How to send it back" }));
      await hands.scroll(120);
      await hands.click(page.locator("#returns-address"), 3);
      await hands.press("Control+c");
      await hands.scroll(-2000);
      await hands.click(page.getByRole("link", { name: "Cart" }));
      await page.waitForURL("**/cart");
    },
  },
];
