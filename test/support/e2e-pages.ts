import type { BrowserContext, Locator, Page } from "playwright-core";
import type { World } from "./e2e-world.ts";

/** One window of a real browser, on the console of a world. */
export class ConsoleWindow {
  readonly page: Page;
  readonly name: string;

  constructor(page: Page, name: string) {
    this.page = page;
    this.name = name;
  }

  /** Opens a window in this profile and signs in by the links and the form, as a person would. */
  static async signIn(profile: BrowserContext, { url }: World, name: string): Promise<ConsoleWindow> {
    const page = await profile.newPage();
    await page.goto(url);
    await page.getByRole("link", { name: /^Sign in( as another user)?$/ }).click();
    await fillLoginForm(page, name);
    const window = new ConsoleWindow(page, name);
    await window.own.waitFor();
    return window;
  }

  get handle(): string {
    const [, handle] = /^\/s\/(ls_\w+)$/.exec(new URL(this.page.url()).pathname) ?? [];
    if (handle === undefined) throw new Error(`${this.page.url()} is no window of a login session.`);
    return handle;
  }

  /** The card of the window's own login session. */
  get own(): Locator {
    return this.page.locator("article.own");
  }

  get signOutButton(): Locator {
    return this.own.getByRole("button", { name: "Sign out" });
  }

  /** Makes a connection key on the page and reads it there. */
  async makeKey(name: string): Promise<string> {
    await this.page.getByLabel("Name of the key").fill(name);
    await this.page.getByRole("button", { name: "Make a key" }).click();
    return (await this.page.getByLabel("The key", { exact: true }).textContent()) ?? "";
  }

  async signOut(): Promise<void> {
    await this.signOutButton.click();
    await this.page.getByRole("heading", { name: "You are signed out" }).waitFor();
  }

  /** Waits until the own card's badge says this. */
  async shows(badge: string, withinMs = 20_000): Promise<void> {
    await this.own.locator(".badge").getByText(badge, { exact: true }).waitFor({ timeout: withinMs });
  }
}

/** The authorization server's own form: any name, with the name as password. */
export async function fillLoginForm(page: Page, name: string): Promise<void> {
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(name);
  await page.getByRole("button", { name: "Sign in" }).click();
}
