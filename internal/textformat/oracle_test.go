package textformat_test

import (
	stdbase64 "encoding/base64"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net"
	"net/mail"
	"net/netip"
	neturl "net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/currency"
	"golang.org/x/text/language"

	"github.com/profilerhq/profiler/internal/textformat"
)

func is(name, text string) bool {
	valid, _ := textformat.Lookup(name)
	return valid([]byte(text))
}

// oracles are independent judgements of texts: they return "" or what is
// wrong with ours.
var oracles = map[string]func(text string, got bool) string{
	"ipv4": func(text string, got bool) string {
		addr, err := netip.ParseAddr(text)
		return differs(got, err == nil && addr.Is4())
	},
	"ipv6": func(text string, got bool) string {
		addr, err := netip.ParseAddr(text)
		return differs(got, err == nil && addr.Is6() && addr.Zone() == "")
	},
	"cidr": func(text string, got bool) string {
		_, err := netip.ParsePrefix(text)
		return differs(got, err == nil)
	},
	"mac": func(text string, got bool) string {
		addr, err := net.ParseMAC(text)
		return differs(got, err == nil && len(addr) <= 8 && strings.ContainsAny(text, ":-."))
	},
	"base64": func(text string, got bool) string {
		b, err := stdbase64.StdEncoding.Strict().DecodeString(text)
		return differs(got, err == nil && len(b) > 0 && !strings.ContainsAny(text, "\r\n"))
	},
	"semver": func(text string, got bool) string { return differs(got, semverPattern.MatchString(text)) },
	"date": func(text string, got bool) string {
		_, err := time.Parse(time.DateOnly, text)
		return differs(got, err == nil)
	},
	"datetime": func(text string, got bool) string {
		if len(text) > 18 && text[17:19] == "60" { // the library knows no leap seconds
			return ""
		}
		_, err := time.Parse(time.RFC3339Nano, strings.ToUpper(text))
		return differs(got, err == nil && len(text) > 10 && timePattern.MatchString(text[11:])) // it takes one digit for an hour
	},
	"uri": func(text string, got bool) string {
		if _, err := neturl.Parse(text); got && err != nil && !ownHosts.MatchString(err.Error()) {
			return "the library refuses it: " + err.Error()
		}
		return ""
	},
	"email": func(text string, got bool) string {
		if _, err := mail.ParseAddress("<" + text + ">"); got && err != nil && !strings.HasSuffix(text, "]") {
			return "the library refuses it: " + err.Error()
		}
		return ""
	},
	"json": func(text string, got bool) string { return differs(got && !utf8.ValidString(text), false) },
	"iban": func(text string, got bool) string { return differs(got, got && slowIBAN(text)) },
	"duration": func(text string, got bool) string {
		return differs(got, durationPattern.MatchString(text) && len(text) > 2 && text[len(text)-1] != 'T')
	},
	"time": func(text string, got bool) string { return differs(got && !timePattern.MatchString(text), false) },
	"uuid": func(text string, got bool) string { return differs(got, uuidPattern.MatchString(text)) },
	"hostname": func(text string, got bool) string {
		last := text[strings.LastIndexByte(text, '.')+1:]
		return differs(got, hostPattern.MatchString(text) && len(text) <= 253 && strings.Trim(last, "0123456789") != "")
	},
	"bic": func(text string, got bool) string { return differs(got && !bicPattern.MatchString(text), false) },
}

var (
	// ownHosts are complaints of net/url about hosts that the standard allows.
	ownHosts        = regexp.MustCompile(`invalid (port|host|URL escape|userinfo)`)
	semverPattern   = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$`)
	durationPattern = regexp.MustCompile(`^P(\d+([.,]\d+)?W|(\d+Y)?(\d+M)?(\d+D)?(T(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?|T(\d+H)?\d+[.,]\d+M|T\d+[.,]\d+H)?|(\d+Y)?(\d+M)?\d+[.,]\d+D|(\d+Y)?\d+[.,]\d+M|\d+[.,]\d+Y)$`)
	timePattern     = regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([zZ]|[+-]([01]\d|2[0-3]):[0-5]\d)?$`)
	uuidPattern     = regexp.MustCompile(`^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	hostPattern     = regexp.MustCompile(`^([0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?\.)*[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?$`)
	bicPattern      = regexp.MustCompile(`^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$`)
)

func differs(got, want bool) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("got %t, want %t", got, want)
}

// slowIBAN computes the remainder of the whole number at once.
func slowIBAN(text string) bool {
	text = strings.ReplaceAll(text, " ", "")
	var digits strings.Builder
	for _, c := range text[4:] + text[:4] {
		if c >= 'A' && c <= 'Z' {
			fmt.Fprintf(&digits, "%d", c-'A'+10)
		} else {
			digits.WriteRune(c)
		}
	}
	n, ok := new(big.Int).SetString(digits.String(), 10)
	return ok && n.Mod(n, big.NewInt(97)).Int64() == 1
}

// mutations are the examples and texts near them: one byte changed, dropped,
// doubled or moved.
func mutations(r *rand.Rand, text string) []string {
	const alphabet = "0123456789abcdefABCDEFgzGZPTWYMDHSX:.-+/%@[]\"' _,\x00é"
	out := []string{text}
	for i := range len(text) {
		c := string(alphabet[r.IntN(len(alphabet))])
		j := r.IntN(len(text))
		out = append(out, text[:i]+c+text[i+1:], text[:i]+text[i+1:], text[:i]+text[i:i+1]+text[i:], text[:i]+c+text[i:], text[:i]+text[j:])
	}
	return out
}

func TestFormatsAgreeWithOracles(t *testing.T) {
	t.Parallel()
	for name, oracle := range oracles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, 2))
			for range 20 {
				for _, text := range append(examples[name].valid, examples[name].invalid...) {
					if len(text) > 300 {
						continue
					}
					for _, m := range mutations(r, text) {
						require.Empty(t, oracle(m, is(name, m)), "%s: %q", name, m)
					}
				}
			}
		})
	}
}

// One wrong digit, and all but a few swaps of neighbours, change a checksum.
func TestChecksumsFindOneWrongCharacter(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"luhn", "iban", "isbn", "ean"} {
		for _, text := range examples[name].valid {
			for i := range len(text) {
				for c := byte('0'); c <= '9'; c++ {
					if text[i] < '0' || text[i] > '9' || text[i] == c {
						continue
					}
					wrong := text[:i] + string(c) + text[i+1:]
					require.False(t, is(name, wrong), "%s %q of %q", name, wrong, text)
				}
			}
		}
	}
}

func TestNumbersWithComputedCheckDigitsAreValid(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 2_000 {
		digits := fmt.Sprintf("%012d", r.Int64N(1_000_000_000_000))
		valid := 0
		for c := range 10 {
			if is("ean", fmt.Sprintf("%s%d", digits, c)) {
				valid++
			}
		}
		require.Equal(t, 1, valid, "one check digit of an EAN fits %s", digits)
		valid = 0
		for c := range 10 {
			if is("luhn", fmt.Sprintf("%s%d", digits, c)) {
				valid++
			}
		}
		require.Equal(t, 1, valid, "one check digit of Luhn fits %s", digits)
		valid = 0
		for c := range 11 {
			if is("isbn", digits[:9]+"0123456789X"[c:c+1]) {
				valid++
			}
		}
		require.Equal(t, 1, valid, "one check digit of an ISBN-10 fits %s", digits[:9])
		valid = 0
		for c := range 100 {
			if is("iban", fmt.Sprintf("DE%02d%s000000", c, digits)) {
				valid++
			}
		}
		require.GreaterOrEqual(t, valid, 1, "check digits of an IBAN fit %s", digits)
	}
}

// Each code of two letters has one of three letters in the registry of x/text,
// and both tables hold exactly these.
func TestCountriesAreThoseOfTheRegistry(t *testing.T) {
	t.Parallel()
	two, three := 0, 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			if text := string([]rune{a, b}); is("country", text) {
				two++
				region, err := language.ParseRegion(text)
				require.NoError(t, err, text)
				require.True(t, region.IsCountry(), text)
				require.True(t, is("country", region.ISO3()), "%s of %s", region.ISO3(), text)
			}
			for c := 'A'; c <= 'Z'; c++ {
				if is("country", string([]rune{a, b, c})) {
					three++
				}
			}
		}
	}
	require.Equal(t, 249, two, "ISO 3166-1 assigns 249 codes")
	require.Equal(t, 249, three)
}

// The data of x/text are from 2018; what changed since is listed.
func TestCurrenciesAreThoseOfTheStandard(t *testing.T) {
	t.Parallel()
	withdrawn := []string{"CUC", "HRK", "MRO", "SLL", "VEF"}
	added := []string{"MRU", "SLE", "UYW", "VED", "VES", "XAD", "XCG", "ZWG"}
	notOfTheStandard, ofTheStandard := "CNH", "SVC"
	known := map[string]bool{ofTheStandard: true}
	for _, code := range added {
		known[code] = true
	}
	for it := currency.Query(currency.NonTender, currency.Date(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))); it.Next(); {
		if code := it.Unit().String(); code != notOfTheStandard && !slices.Contains(withdrawn, code) {
			known[code] = true
		}
	}
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			for c := 'A'; c <= 'Z'; c++ {
				code := string([]rune{a, b, c})
				require.Equal(t, known[code], is("currency", code), code)
			}
		}
	}
}

// family fuzzes several formats at once: none panics or changes the text, and
// oracles agree.
func family(f *testing.F, names ...string) {
	for _, name := range names {
		for _, text := range append(examples[name].valid, examples[name].invalid...) {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		for _, name := range names {
			got := is(name, before)
			valid, _ := textformat.Lookup(name)
			require.Equal(t, got, valid(b))
			require.Equal(t, before, string(b))
			if got {
				require.NotEmpty(t, b)
				require.True(t, utf8.Valid(b), "%s accepts bytes that are no text", name)
			}
			if oracle := oracles[name]; oracle != nil {
				require.Empty(t, oracle(before, got), name)
			}
		}
	})
}

func FuzzNames(f *testing.F) { family(f, "email", "hostname", "url", "uri", "uuid") }

func FuzzAddresses(f *testing.F) { family(f, "ipv4", "ipv6", "cidr", "mac") }

func FuzzTimes(f *testing.F) { family(f, "date", "time", "datetime", "duration") }

func FuzzEncodings(f *testing.F) { family(f, "json", "base64", "hex", "semver") }

func FuzzNumbers(f *testing.F) {
	family(f, "luhn", "iban", "isbn", "ean", "phone", "latitude", "longitude")
}

func FuzzCodes(f *testing.F) { family(f, "bic", "country", "currency", "language") }
