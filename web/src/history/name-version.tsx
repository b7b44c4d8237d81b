import { useCostudio } from '@costudio/client/react'
import { useState, type FormEvent, type ReactNode } from 'react'
import { Button } from '../ui/button'
import { Field } from '../ui/field'
import { tellDone } from '../ui/toasts'
import { wordsOf } from '../ui/words'

/** Gives the moment `seq` a name, or the text as it is. */
export function NameVersion({ room, seq, onNamed }: { room: string; seq: number | null; onNamed: () => void }): ReactNode {
  const client = useCostudio()
  const [name, setName] = useState('')
  const [problem, setProblem] = useState<string | null>(null)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (name.trim() === '') {
      setProblem('Say a name.')
      return
    }
    client.api.history.addVersion(room, name, seq ?? undefined).then(
      (version) => {
        setName('')
        setProblem(null)
        tellDone(`This moment is “${version.name}” now.`)
        onNamed()
      },
      (error: unknown) => setProblem(wordsOf(error))
    )
  }
  return (
    <form className="name-version" onSubmit={submit} noValidate>
      <Field
        label={seq === null ? 'Name the text as it is' : 'Name this moment'}
        value={name}
        maxLength={200}
        placeholder="Before the review"
        error={problem}
        onChange={({ target }) => setName(target.value)}
      />
      <Button type="submit">Add</Button>
    </form>
  )
}
