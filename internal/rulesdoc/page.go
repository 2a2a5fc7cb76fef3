package rulesdoc

// page is the template of the HTML form.
const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --text: #1c2430; --muted: #667085; --line: #e4e7ec; --accent: #2f6fed; --fail: #b42318; --fail-bg: #fef3f2; --warn: #93570b; --warn-bg: #fffaeb; --code: #f2f4f7; }
@media (prefers-color-scheme: dark) { :root { --bg: #10141b; --card: #181e27; --text: #e6e9ef; --muted: #98a2b3; --line: #2a3240; --accent: #7ea8ff; --fail: #f97066; --fail-bg: #3a1a18; --warn: #fdb022; --warn-bg: #35280f; --code: #222a36; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { display: grid; grid-template-columns: 230px minmax(0, 1fr); gap: 32px; max-width: 1180px; margin: 0 auto; padding: 36px 24px 60px; }
header { grid-column: 1 / -1; }
h1 { margin: 0 0 4px; font-size: 28px; letter-spacing: -0.02em; }
header p { margin: 0; color: var(--muted); }
nav { position: sticky; top: 24px; align-self: start; font-size: 14px; }
nav a { display: flex; justify-content: space-between; gap: 8px; padding: 6px 10px; border-radius: 8px; color: inherit; text-decoration: none; }
nav a:hover { background: var(--card); color: var(--accent); }
nav span { color: var(--muted); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 22px 26px 10px; margin-bottom: 24px; }
h2 { margin: 0; font-size: 20px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
.facts { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 6px 0 12px; color: var(--muted); font-size: 13.5px; }
.facts b { font-weight: 600; color: var(--text); }
.tag { background: var(--code); border-radius: 99px; padding: 0 9px; color: var(--text); }
h3 { margin: 20px 0 4px; font: 600 14px/1.4 ui-monospace, SFMono-Regular, Menlo, monospace; }
h3.dataset { font-family: inherit; }
ul { list-style: none; margin: 0; padding: 0; }
li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 2px 16px; padding: 9px 0; border-top: 1px solid var(--line); }
li.off { opacity: .5; }
.text { overflow-wrap: anywhere; }
.text b { font-weight: 600; }
.limit { color: var(--muted); }
.note { grid-column: 1 / -1; color: var(--muted); font-size: 14px; }
.right { text-align: right; white-space: nowrap; }
.id { color: var(--muted); font: 12px ui-monospace, SFMono-Regular, Menlo, monospace; }
.badge { display: inline-block; min-width: 42px; text-align: center; border-radius: 6px; padding: 0 8px; margin-left: 10px; font-size: 12px; font-weight: 600; }
.badge.fail { color: var(--fail); background: var(--fail-bg); }
.badge.warn { color: var(--warn); background: var(--warn-bg); }
.badge.off { color: var(--muted); background: var(--code); }
@media (max-width: 760px) { main { grid-template-columns: minmax(0, 1fr); padding: 20px 14px; } nav { position: static; } li { grid-template-columns: minmax(0, 1fr); } .right { text-align: left; } .badge { margin: 0 0 0 6px; } }
@media print { body { background: none; } nav { display: none; } main { display: block; } section { border: 0; padding: 0; break-inside: avoid-page; } }
</style>
</head>
<body>
<main>
<header><h1>{{.Title}}</h1><p>{{plural (len .Datasets) "dataset"}}, {{plural .Columns "column"}}, {{plural .Checks "check"}}</p></header>
<nav>{{range $i, $d := .Datasets}}<a href="#d{{$i}}">{{$d.Name}} <span>{{$d.Count}}</span></a>{{end}}</nav>
<div>
{{range $i, $d := .Datasets}}<section id="d{{$i}}">
<h2>{{$d.Name}}</h2>
<div class="facts">{{with $d.Owner}}<span>Owner <b>{{.}}</b></span>{{end}}{{with $d.Key}}<span>Key <b>{{join . ", "}}</b></span>{{end}}{{with $d.OnFail}}<span>A gate will <b>{{.}}</b></span>{{end}}<span>{{$d.File}}</span>{{range $d.Tags}}<span class="tag">{{.}}</span>{{end}}</div>
{{range $d.Groups}}{{if .Column}}<h3>{{.Column}}</h3>{{else}}<h3 class="dataset">The dataset</h3>{{end}}
<ul>
{{range .Checks}}<li{{if .Disabled}} class="off"{{end}}><div class="text">{{with .Title}}<b>{{.}}.</b> {{end}}{{.Text}}{{with .Limit}} <span class="limit">· {{.}}</span>{{end}}{{with .Owner}} <span class="limit">· owner {{.}}</span>{{end}}</div><div class="right"><span class="id" title="{{.Place}}">{{.ID}}</span><span class="badge {{if .Disabled}}off{{else}}{{.Severity}}{{end}}">{{if .Disabled}}off{{else}}{{.Severity}}{{end}}</span></div>{{with .Note}}<div class="note">{{.}}</div>{{end}}</li>
{{end}}</ul>
{{end}}</section>
{{end}}</div>
</main>
</body>
</html>
`
