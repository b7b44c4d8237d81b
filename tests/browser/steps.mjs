/** What people do in the studio, as the tests say it. */
import assert from 'node:assert/strict'

export const editorOf = (page) => page.locator('.cm-content')
export const panelOf = (page, name) => page.getByRole('complementary', { name })

/** Resolves when an element of `selector` has the text. */
export const sees = (page, selector, text) => page.locator(selector, { hasText: text }).first().waitFor()
export const isGone = (page, selector) => page.locator(selector).first().waitFor({ state: 'detached' })

export async function open(page, name) {
  await page.getByRole('navigation', { name: 'Studio' }).getByRole('button', { name, exact: false }).click()
}

export async function newFile(page, path) {
  await page.getByRole('button', { name: 'New file' }).first().click()
  await page.getByRole('textbox', { name: 'Path' }).fill(path)
  await page.getByRole('button', { name: 'Create' }).click()
  await editorOf(page).waitFor()
}

/** Type in the file that shows; two who write at once begin at different ends. */
export const typeAtEnd = (page, text) => typeAt(page, 'Control+End', text)
export const typeAtStart = (page, text) => typeAt(page, 'Control+Home', text)

async function typeAt(page, place, text) {
  await editorOf(page).click()
  await page.keyboard.press(place)
  await page.keyboard.type(text)
}

export const isSaved = (page) => sees(page, '.status-bar .saved', 'Saved')

export async function say(page, text) {
  await page.getByRole('textbox', { name: /^Message / }).fill(text)
  await page.keyboard.press('Enter')
}

/** How far the last message with this text has got, as it is read aloud. */
export async function tickIs(page, text, label) {
  await page.locator('.message', { hasText: text }).getByRole('img', { name: label }).waitFor()
}

/** The lines of a file's text, as all of these pages show it; they have to agree within a moment. */
export async function agreedText(...pages) {
  const textOf = (page) => page.locator('.cm-content').evaluate((content) => content.cmTile?.view?.state.doc.toString() ?? content.innerText)
  for (let tries = 0; ; tries++) {
    const texts = await Promise.all(pages.map(textOf))
    if (texts.every((text) => text === texts[0])) return texts[0]
    assert.ok(tries < 100, `they differ: ${JSON.stringify(texts)}`)
    await pages[0].waitForTimeout(50)
  }
}
