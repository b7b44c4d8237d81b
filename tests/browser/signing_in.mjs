import { person } from './browser.mjs'
import { sees } from './steps.mjs'

/** By name, by a token, and not at all. */
export async function signingIn({ browser, server }) {
  const { page, context } = await person(browser, server.url, null)
  await page.goto(server.url)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await sees(page, '[role=alert]', 'Say a name.')
  await page.getByRole('button', { name: 'Use a token instead' }).click()
  await page.getByLabel('Your token').fill('not.a.token')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await sees(page, '[role=alert]', 'The server did not let you in')
  await page.getByLabel('Your name').fill('carla')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('button', { name: 'Account of carla' }).click()
  await page.getByRole('menuitem', { name: 'Sign out carla' }).click()
  await page.getByLabel('Your name').waitFor()
  await context.close()
}
