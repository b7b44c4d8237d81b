/** Pictures of the studio at work, for the docs: `node screenshots.mjs SERVER_URL FOLDER`. */
import { launch, person } from './browser.mjs'
import { newFile, open, say, sees } from './steps.mjs'

const [serverUrl, folder] = process.argv.slice(2)

const FILES = {
  'Config/DefaultGame.ini': '[/Script/EngineSettings.GeneralProjectSettings]\nProjectName=Lyra\nProjectVersion=1.4.0\n',
  'Content/Python/import_assets.py': 'import unreal\n\nfor path in unreal.EditorAssetLibrary.list_assets("/Game/Heroes"):\n    print(path)\n',
  'Shaders/Water.usf': '#include "/Engine/Public/Platform.ush"\n\nfloat4 Main(float2 UV : TEXCOORD0) : SV_Target0\n{\n\treturn float4(UV, 0, 1);\n}\n',
  'Source/Lyra/Lyra.Build.cs': 'using UnrealBuildTool;\n\npublic class Lyra : ModuleRules { }\n',
  'Source/Lyra/Hero.h': '#pragma once\n',
  'Lyra.uproject': '{\n  "FileVersion": 3,\n  "EngineAssociation": "5.6"\n}\n',
  'Source/Lyra/Hero.cpp': `#include "Hero.h"

#include "AbilitySystemComponent.h"
#include "Net/UnrealNetwork.h"

// How fast shields come back, in points a second.
static constexpr float ShieldRegeneration = 12.5f;

AHero::AHero()
{
    PrimaryActorTick.bCanEverTick = true;
    Abilities = CreateDefaultSubobject<UAbilitySystemComponent>(TEXT("Abilities"));
    Abilities->SetIsReplicated(true);
}

void AHero::Tick(float DeltaSeconds)
{
    Super::Tick(DeltaSeconds);
    if (Shield < MaxShield && !IsUnderFire())
    {
        Shield = FMath::Min(MaxShield, Shield + ShieldRegeneration * DeltaSeconds);
    }
}

float AHero::TakeDamage(float Amount, const FDamageEvent& Event, AController* Instigator, AActor* Causer)
{
    LastHitSeconds = GetWorld()->GetTimeSeconds();
    return Super::TakeDamage(Amount, Event, Instigator, Causer);
}
`
}

/** Without what moves or fades just then. */
const picture = (page, name) => page.screenshot({ path: `${folder}/${name}.png`, animations: 'disabled' })

const browser = await launch()
const size = { width: 1280, height: 760 }
const people = await Promise.all(
  ['alice', 'bob', 'carla'].map((user) => person(browser, serverUrl, user, { path: '&workspace=1', viewport: size }))
)
const [alice, bob, carla] = people.map(({ page }) => page)

for (const [path, text] of Object.entries(FILES)) {
  await newFile(alice, path)
  await alice.keyboard.insertText(text)
}
for (const tab of ['Lyra.uproject', 'Lyra.Build.cs', 'DefaultGame.ini', 'import_assets.py', 'Hero.h']) {
  await alice.locator(`.tab-close[title="Close ${tab}"]`).click()
}
await bob.goto(`${serverUrl}/?user=bob&workspace=1&file=Source/Lyra/Hero.cpp`)
await carla.goto(`${serverUrl}/?user=carla&workspace=1&file=Shaders/Water.usf`)
await sees(bob, '.cm-line', 'TakeDamage')
await say(alice, 'Shields regenerate while one is under fire: see `AHero::Tick`')
await say(bob, 'On it. @alice is 12.5 a second what design wants?')
await say(carla, 'Build 118 with the new water is up')
await say(alice, 'Yes, 12.5. Thanks @carla, it looks great!')
await bob.locator('.cm-line', { hasText: 'IsUnderFire' }).click()
await bob.keyboard.press('Home')
await bob.keyboard.press('Shift+End')
await alice.locator('.cm-line', { hasText: 'Super::Tick' }).click()
await alice.keyboard.press('Home')
await alice.keyboard.press('ArrowUp')
await sees(alice, '.cm-ySelectionInfo', 'bob')
await carla.getByRole('textbox', { name: 'Message general' }).pressSequentially('I will')
await sees(alice, '.typing-line', 'carla is typing')
await picture(alice, 'studio-dark')

// The same in light, with a lock of somebody else's.
await bob.getByRole('button', { name: 'Lock this file' }).click()
await bob.getByRole('menuitem', { name: 'Lock for 15 minutes' }).click()
await open(alice, 'People')
await alice.emulateMedia({ colorScheme: 'light' })
await sees(alice, '.banner', 'bob has locked')
await picture(alice, 'studio-light')

const narrow = await person(browser, serverUrl, 'carla', { path: '&workspace=1&file=Shaders/Water.usf', viewport: { width: 420, height: 760 } })
await open(narrow.page, 'Chat')
await sees(narrow.page, '.message', 'Build 118')
await picture(narrow.page, 'narrow-chat')
await browser.close()
