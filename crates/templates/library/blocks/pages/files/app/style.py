"""How the pages look; colours keep a contrast of at least 4.5 to 1, by day and by night."""

STYLE = """
:root { --ink: #1c2430; --paper: #ffffff; --soft: #eef1f5; --line: #c5ccd6; --accent: #0b5cad; --on-accent: #ffffff; --bad: #b00020; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ecf2; --paper: #14181f; --soft: #222935; --line: #465061; --accent: #7ab8ff; --on-accent: #0b1017; --bad: #ff8a94; }
}
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
header { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; padding: 0.75rem 1.5rem; background: var(--soft); border-bottom: 1px solid var(--line); }
header nav { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; }
.home { font-weight: 700; color: var(--ink); text-decoration: none; }
main { max-width: 64rem; margin: 0 auto; padding: 1.5rem; }
a { color: var(--accent); }
h1 { margin: 0 0 1rem; font-size: 1.6rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 0.5rem 0.75rem; text-align: left; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.field { margin: 0 0 1rem; }
label { display: block; font-weight: 600; margin-bottom: 0.25rem; }
input, select, textarea { width: 100%; max-width: 32rem; padding: 0.5rem; font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: 0.375rem; }
input[type="checkbox"] { width: 1.25rem; height: 1.25rem; }
[aria-invalid="true"] { border-color: var(--bad); }
.problem { margin: 0.25rem 0 0; color: var(--bad); }
button, .button { display: inline-block; padding: 0.5rem 1rem; font: inherit; font-weight: 600; color: var(--on-accent); background: var(--accent); border: 0; border-radius: 0.375rem; text-decoration: none; cursor: pointer; }
.danger { color: var(--bad); background: transparent; border: 1px solid var(--bad); margin-top: 1rem; }
a.danger { display: inline-block; padding: 0.5rem 1rem; border-radius: 0.375rem; font-weight: 600; text-decoration: none; }
section { margin: 2rem 0 0; padding: 1rem 0 0; border-top: 1px solid var(--line); }
h2 { margin: 0 0 0.75rem; font-size: 1.2rem; overflow-wrap: anywhere; }
.inline { display: inline; }
small { opacity: 0.85; }
.link { padding: 0; color: var(--accent); background: none; font-weight: 400; text-decoration: underline; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
form[role="search"] { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: end; margin-bottom: 1rem; }
form[role="search"] input { width: 16rem; }
.cards { list-style: none; padding: 0; display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); }
.cards a { display: block; padding: 1.5rem; background: var(--soft); border: 1px solid var(--line); border-radius: 0.5rem; }
"""
