package secret

import "regexp"

// What looks like a secret in a text: the password of an address and its query,
// the value of a name that says so, and the credentials of a header.
var (
	addressPassword = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@:"']*):[^\s/?#"']*@`)
	addressQuery    = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s?#"'<>]*)\?[^\s#"'<>]*`)
	credentials     = regexp.MustCompile(`(?i)\b(bearer|basic)(\s+)[A-Za-z0-9+/=._~-]{8,}`)
	named           = regexp.MustCompile(`(?i)((?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|signature|(?:api|access|private|account)[_-]?key)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s"',;&]+)`)
)

// Redact returns a text of others, such as what a command said when it failed,
// with a mask in the place of what looks like a secret. It knows passwords and
// queries of addresses, values whose names say what they are, and the credentials
// of headers; a secret that stands there bare is not found.
func Redact(text string) string {
	text = addressQuery.ReplaceAllString(text, "${1}?"+Mask)
	text = addressPassword.ReplaceAllString(text, "${1}:"+Mask+"@")
	text = credentials.ReplaceAllString(text, "${1}${2}"+Mask)
	return named.ReplaceAllString(text, "${1}"+Mask)
}
