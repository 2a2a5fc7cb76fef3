package textformat

import (
	"sync"

	"golang.org/x/text/language"
)

// languageTag accepts a tag of BCP 47 whose subtags are registered: a language
// of ISO 639 in two or three letters (de, deu), with script, region and
// variants where they matter (zh-Hant-TW). Parts are joined by hyphens.
func languageTag(b []byte) bool {
	if len(b) < 2 || len(b) > 64 || !all(b, func(c byte) bool { return isAlnum(c) || c == '-' }) {
		return false
	}
	if len(b) == 2 {
		return isLetter(b[0]) && isLetter(b[1]) && languages()[(b[0]|0x20)-'a'][(b[1]|0x20)-'a'] != 0
	}
	_, err := language.Parse(string(b))
	return err == nil
}

// languages are the codes of two letters, for which nothing has to be parsed.
var languages = sync.OnceValue(func() *pairs {
	t := &pairs{}
	for a := byte('a'); a <= 'z'; a++ {
		for z := byte('a'); z <= 'z'; z++ {
			if _, err := language.Parse(string([]byte{a, z})); err == nil {
				t[a-'a'][z-'a'] = 1
			}
		}
	}
	return t
})
