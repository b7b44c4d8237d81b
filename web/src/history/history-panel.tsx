import type { HistoryEntry, NamedVersion } from '@costudio/client'
import { useCostudio, useFile } from '@costudio/client/react'
import { Bookmark, FileClock, FileX, History as HistoryIcon, Unplug } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { useNamesOf } from '../people/names'
import { useMe } from '../session/me'
import { closeOverlays } from '../shell/layout-state'
import { PanelFrame } from '../shell/panel-frame'
import { Avatar } from '../ui/avatar'
import { Button } from '../ui/button'
import { EmptyState } from '../ui/empty-state'
import { clockTime, fullTime, timeAgo } from '../ui/times'
import { useNow } from '../ui/use-now'
import { useTabs } from '../workspace/tabs'
import { useWorkspace } from '../workspace/workspace-context'
import './history-panel.css'
import { HistorySlider } from './history-slider'
import { NameVersion } from './name-version'
import { showMoment, useShownMoment, type ShownMoment } from './shown-moment'
import { useHistory } from './use-history'

const PAGE = 100

/** Who wrote when in the file that shows; what is chosen here is shown instead of its text. */
export function HistoryPanel(): ReactNode {
  const { place } = useWorkspace()
  const { active } = useTabs(place.id)
  return (
    <PanelFrame title="History">
      {active === null ? (
        <EmptyState icon={FileX} title="No file is open">
          <p>Open one to see who wrote what in it, and when.</p>
        </EmptyState>
      ) : (
        <FileHistory key={active} fileId={active} />
      )}
    </PanelFrame>
  )
}

function FileHistory({ fileId }: { fileId: string }): ReactNode {
  const { place } = useWorkspace()
  const file = useFile(place.id, fileId)
  return file && <OpenHistory fileId={fileId} file={file.file} />
}

function OpenHistory({ fileId, file }: { fileId: string; file: Parameters<typeof useHistory>[0] }): ReactNode {
  const [wanted, setWanted] = useState(PAGE)
  const history = useHistory(file, wanted)
  const shown = useShownMoment(fileId)
  const client = useCostudio()
  const me = useMe()
  const { entries = [], versions = [], hasEarlier = false } = history.value ?? {}
  const nameOf = useNamesOf(client, [...new Set(entries.flatMap(({ user_id }) => user_id ?? []))])
  const called = ({ user_id }: HistoryEntry): string => (user_id === null ? 'The server' : nameOf(user_id))
  const moments = entries.map((entry) => momentOf(fileId, entry, called(entry)))

  if (!history.value) {
    return (
      history.problem !== null && (
        <EmptyState icon={Unplug} title="The history can’t be shown">
          <p>{history.problem}</p>
          <Button onClick={history.reload}>Try again</Button>
        </EmptyState>
      )
    )
  }
  if (entries.length === 0) {
    return (
      <EmptyState icon={HistoryIcon} title="Nothing was written yet">
        <p>Whatever is written in this file can be looked at and taken back here.</p>
      </EmptyState>
    )
  }
  return (
    <div className="history">
      {history.problem !== null && <p className="panel-problem">{history.problem}</p>}
      <HistorySlider moments={moments} shown={shown} />
      <NameVersion room={file.room} seq={shown?.seq ?? null} onNamed={history.reload} />
      {versions.length > 0 && (
        <section className="people-group">
          <h3>Named versions</h3>
          <ul>
            {versions.map((version) => (
              <VersionItem key={version.id} version={version} moment={momentOfVersion(fileId, version)} shown={shown} />
            ))}
          </ul>
        </section>
      )}
      <section className="people-group">
        <h3>Who wrote when</h3>
        <ul>
          {moments.map((moment, place) => (
            <EntryItem key={moment.seq} moment={moment} entry={entries[place]!} name={called(entries[place]!)} isMe={entries[place]!.user_id === me.id} shown={shown} />
          ))}
        </ul>
      </section>
      {hasEarlier && <Button onClick={() => setWanted(wanted + PAGE)}>Show earlier ones</Button>}
    </div>
  )
}

const changesOf = ({ changes }: HistoryEntry): string => (changes === 1 ? '1 change' : `${changes} changes`)

function momentOf(fileId: string, entry: HistoryEntry, name: string): ShownMoment {
  return { fileId, seq: entry.seq, before: entry.first_seq - 1, when: `on ${fullTime(new Date(entry.ended_at))}`, note: `${name}, ${changesOf(entry)}` }
}

function momentOfVersion(fileId: string, { seq, name }: NamedVersion): ShownMoment {
  return { fileId, seq, before: null, when: `in “${name}”`, note: null }
}

interface ItemProps {
  moment: ShownMoment
  shown: ShownMoment | null
}

function EntryItem({ moment, shown, entry, name, isMe }: ItemProps & { entry: HistoryEntry; name: string; isMe: boolean }): ReactNode {
  const now = useNow(30)
  const ended = new Date(entry.ended_at)
  return (
    <MomentItem moment={moment} shown={shown}>
      <Avatar name={name} size={24} />
      <span className="person-text">
        <span className="person-name clip">
          {name}
          {isMe && ' (you)'}
        </span>
        <span className="person-note clip">
          {timeAgo(ended, now)}, {clockTime(ended)} · {changesOf(entry)}
        </span>
      </span>
    </MomentItem>
  )
}

function VersionItem({ moment, shown, version }: ItemProps & { version: NamedVersion }): ReactNode {
  const now = useNow(30)
  return (
    <MomentItem moment={moment} shown={shown}>
      <Bookmark size={16} aria-hidden />
      <span className="person-text">
        <span className="person-name clip">{version.name}</span>
        <span className="person-note clip">Named {timeAgo(new Date(version.created_at), now)}</span>
      </span>
    </MomentItem>
  )
}

/** Choosing the one that is shown goes back to the text. */
function MomentItem({ moment, shown, children }: ItemProps & { children: ReactNode }): ReactNode {
  const isShown = shown?.seq === moment.seq && shown.before === moment.before
  return (
    <li>
      <button
        type="button"
        className="history-item"
        aria-pressed={isShown}
        onClick={() => {
          showMoment(isShown ? null : moment)
          closeOverlays()
        }}
      >
        {children}
        {isShown && <FileClock size={15} aria-hidden />}
      </button>
    </li>
  )
}
