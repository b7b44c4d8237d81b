import { createRoot } from 'react-dom/client'
import { App } from './app'
import './design/fonts.css'
import './design/tokens.css'
import './design/base.css'

createRoot(document.getElementById('root')!).render(<App />)
