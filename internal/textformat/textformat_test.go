package textformat_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/textformat"
)

func long(n int) string { return strings.Repeat("a", n) }

// examples are texts that a format accepts and texts that it refuses; most of
// them stand in the standard that decides.
var examples = map[string]struct{ valid, invalid []string }{
	"email": {
		valid: []string{
			"joe.bloggs@example.com", "te~st@example.com", "~test@example.com", "test~@example.com", "a+b@x.de",
			`"joe bloggs"@example.com`, `"joe..bloggs"@example.com`, `"joe@bloggs"@example.com`, `"a\"b"@x.de`,
			"joe.bloggs@[127.0.0.1]", "joe.bloggs@[IPv6:::1]", "user@localhost", "x@a-b.co", "!#$%&'*+-/=?^_`{|}~@x.de",
			long(64) + "@x.de", "1@2.de",
		},
		invalid: []string{
			"2962", ".test@example.com", "test.@example.com", "te..st@example.com", "joe.bloggs@invalid=domain.com",
			"joe.bloggs@[127.0.0.300]", "a@", "@b", "a b@x.de", "a@b@c.de", "a@x_y.de", "a@-x.de", "a@x-.de", "a@x..de", "a@x.de.",
			"a@x.de ", " a@x.de", "a@1.2.3.4", "a@[1.2.3]", "a@[IPv6:1]", "a@[]", "(c)a@x.de", `""@x.de`, `"a@x.de`, `"a"b@x.de`, `"\"@x.de`,
			"jö@x.de", "j@xö.de", long(65) + "@x.de", "a@" + long(64) + ".de", "a@" + strings.Repeat("a.", 125) + "com",
			"<a@x.de>", "Joe <a@x.de>", "a@x.de\n", "mailto:a@x.de",
		},
	},
	"hostname": {
		valid:   []string{"www.example.com", "xn--4gbwdl.xn--wgbh1c", "localhost", "1host", "hostnam3", "3com.com", "a-b", "A.B", "a.1b", long(63), strings.Repeat(long(63)+".", 3) + long(61)},
		invalid: []string{"-a.de", "a-.de", "a_b.de", "a..de", ".de", "de.", "a b", "1.2.3.4", "123", "a.1", long(64), strings.Repeat(long(63)+".", 3) + long(62), "ö.de", "a.de:80", "a.de/"},
	},
	"uuid": {
		valid:   []string{"2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2EB8AA08-AA98-11EA-B4AA-73B441D16380", "017F22E2-79B0-7CC3-98C4-DC0C0C07398F", "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"},
		invalid: []string{"2eb8aa08-aa98-11ea-b4aa-73b441d1638", "2eb8aa08aa98-11ea-b4aa73b441d16380", "2eb8aa08aa9811eab4aa73b441d16380", "{2eb8aa08-aa98-11ea-b4aa-73b441d16380}", "2eb8aa08-aa98-11ea-b4ga-73b441d16380", "2eb8-aa08-aa98-11ea-b4aa73b44-1d16380", "urn:uuid:2eb8aa08-aa98-11ea-b4aa-73b441d16380"},
	},
	"url": {
		valid: []string{
			"http://foo.bar/?baz=qux#quux", "https://example.com", "http://foo.com/blah_(wikipedia)_blah#cite-1", "http://-.~_!$&'()*+,;=:%40:80%2f@example.com",
			"http://223.255.255.254", "ftp://ftp.is.co.za/rfc/rfc1808.txt", "ldap://[2001:db8::7]/c=GB?objectClass?one", "telnet://192.0.2.16:80/", "http://a:", "s3://bucket/key", "postgres://u:p@h:5432/db", "HTTP://[v1.a:b]/",
		},
		invalid: []string{"mailto:a@x.de", "example.com", "//example.com", "/a", "http://", "http:///x", "file:///etc/passwd", "http://a b", "http://a:b", "https://x.de/ü", "http://[::1", "http://[::1]x", "http://a/%zz"},
	},
	"uri": {
		valid: []string{
			"http://foo.bar/?baz=qux#quux", "mailto:John.Doe@example.com", "news:comp.infosystems.www.servers.unix", "tel:+1-816-555-1212",
			"urn:oasis:names:specification:docbook:dtd:xml:4.1.2", "file:///etc/passwd", "urn:", "a:?#", "A+-.1:/", "http://a/%20?%20#%20",
		},
		invalid: []string{"", "//foo.bar", "/abc", `\\WINDOWS\fileshare`, "abc", "http:// shouldfail.com", ":// should fail", "bar,baz:foo", "1a:b", ":b", "http://example.com/a b", "http://x/<a>", "http://x/{a}", "http://x/a^b", "http://x/a`", `http://x/"`, "http://x/#a#b", "http://x/%", "http://x/%1", "http://x:8a/", "http://[]/"},
	},
	"ipv4": {
		valid:   []string{"192.168.0.1", "0.0.0.0", "255.255.255.255", "87.10.0.1"},
		invalid: []string{"127.0.0.0.1", "256.256.256.256", "127.0", "0x7f000001", "2130706433", "087.10.0.1", "1.2.3.4/24", "1.2.3.", "1.2.3.4 ", "1.2.3.-4", "1..3.4", "1२7.0.0.1", "1.2.3.1234"},
	},
	"ipv6": {
		valid:   []string{"::1", "::", "12::42", "::abef", "::42:ff:1", "d6::", "1:d6::42", "1::d6:192.168.0.1", "1:2:3:4:5:6:7:8", "::ffff:192.168.0.1", "1:2:3:4:5:6:1.2.3.4", "ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "1::2:3:4:5:6:7", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7::"},
		invalid: []string{"12345::", "1:1:1:1:1:1:1:1:1:1", "::laptop", "::abcef", ":2:3:4:5:6:7:8", "1:2:3:4:5:6:7:", ":2:3:4::8", "1:2:3:4:5:::8", "1::2:192.168.256.1", "1::2:192.168.ff.1", "::1::1", "1:2:3:4:1.2.3", "1:2:3:4:5:6:7", "1", "127.0.0.1", "fe80::1%eth0", "fe80::a%1", "  ::1", "::1 ", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "[::1]", "", ":", ":::"},
	},
	"cidr": {
		valid:   []string{"10.0.0.0/8", "10.1.2.3/8", "0.0.0.0/0", "1.2.3.4/32", "2001:db8::/32", "::/0", "::1/128"},
		invalid: []string{"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0/8", "::/129", "::/1000", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0", "/8"},
	},
	"mac": {
		valid:   []string{"00:00:5e:00:53:01", "00-00-5E-00-53-01", "0000.5e00.5301", "02:00:5e:10:00:00:00:01", "0200.5e10.0000.0001", "02-00-5e-10-00-00-00-01"},
		invalid: []string{"00:00:5e:00:53", "00:00-5e:00:53:01", "00005e005301", "00:00:5e:00:53:0g", "00.00.5e.00.53.01", "0:0:5e:0:53:1", "00:00:5e:00:53:01:", "0000:5e00:5301", "02:00:5e:10:00:00:00"},
	},
	"date": {
		valid:   []string{"1963-06-19", "2020-01-31", "2020-02-29", "2000-02-29", "0000-01-01", "9999-12-31"},
		invalid: []string{"2020-01-32", "2021-02-29", "1900-02-29", "2020-04-31", "2020-13-01", "2020-00-10", "2020-01-00", "06/19/1963", "2013-350", "1998-1-20", "1998-01-1", "19630619", "2023-W01", "1963-06-19Z", "১963-06-19", "2020-11-28T23:55:45Z", "-0001-01-01"},
	},
	"time": {
		valid:   []string{"08:30:06Z", "08:30:06", "23:59:60Z", "23:59:60", "15:59:60-08:00", "01:29:60+01:30", "23:20:50.52Z", "08:30:06.283185z", "08:30:06+00:20", "12:00:00-23:59"},
		invalid: []string{"24:00:00Z", "00:60:00Z", "00:00:61Z", "22:59:60Z", "23:58:60Z", "23:59:60+01:00", "8:3:6Z", "08:30", "08:30:06 PST", "01:01:01,1111", "08:30:06#00:20", "12:00:00.Z", "12:00:00+0100", "12:00:00+01", "12:00:00+24:00", "12:00:00+00:60", "12:00:00 Z", "010203Z"},
	},
	"datetime": {
		valid: []string{
			"1985-04-12T23:20:50.52Z", "1996-12-19T16:39:57-08:00", "1990-12-31T23:59:60Z", "1990-12-31T15:59:60-08:00", "1937-01-01T12:00:27.87+00:20",
			"1963-06-19t08:30:06.283185z", "1991-01-01T00:59:60+01:00", "2016-12-31T23:59:60Z", "2015-06-30T23:59:60.5Z",
		},
		invalid: []string{
			"1998-12-31T23:59:61Z", "1998-12-31T23:58:60Z", "1998-12-31T22:59:60Z", "1998-12-30T23:59:60Z", "1990-12-31T15:59:60+08:00", "1990-12-30T15:59:60-08:00",
			"1990-02-31T15:59:59-08:00", "1990-12-31T15:59:59-24:00", "06/19/1963 08:30:06 PST", "2013-350T01:01:01", "1963-6-19T08:30:06Z", "1963-06-1T08:30:06Z",
			"1963-06-19 08:30:06Z", "1963-06-19T08:30:06", "1963-06-19T08:30Z", "1963-06-19", "1963-06-19T08:30:06.Z", "1985-04-12T23:20:50,52Z",
		},
	},
	"duration": {
		valid:   []string{"P4DT12H30M5S", "P4Y", "PT0S", "P0D", "P1M", "PT1M", "PT36H", "P1DT12H", "P2W", "P1Y2D", "PT1H5S", "P3Y6M4DT12H30M5S", "PT1.5S", "PT0,5H", "P0.5Y", "P1.5W", "P23DT23H"},
		invalid: []string{"PT1D", "4DT12H30M5S", "P", "P1YT", "PT", "P2D1Y", "P1D2H", "P2S", "P1Y2W", "P2W1D", "P2WT1H", "P1", "1P", "PT1H30", "P1.5DT1H", "PT1.5M3S", "P.5D", "P1.D", "-P1D", "p1d", "P1DT12h", "P1D ", "P২Y", "P1Y1Y", "T1H", "PTT1H", "P1DT1HT1S"},
	},
	"json": {
		valid:   []string{`{}`, `[]`, `{"a": [1, 2.5e3, null, true, "x"]}`, `"text"`, `1`, ` null `, `"\u00fc"`, `"ü"`},
		invalid: []string{`{a: 1}`, `{'a': 1}`, `[1,]`, `{"a": 1`, `nul`, `1 2`, `01`, "\"\xff\"", `NaN`, `"a` + "\n" + `b"`, strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001)},
	},
	"base64": {
		valid:   []string{"Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy", "+/+/", "AAAA"},
		invalid: []string{"Zg=", "Zg", "Z===", "====", "=", "Zg==Zg==", "Zm9v\n", "Zm9 v", "-_-_", "Zh==", "Zm9=", "Zm9v=", "eyJibGFoI"},
	},
	"hex": {
		valid:   []string{"deadBEEF", "0", "abc", "66", strings.Repeat("0f", 100)},
		invalid: []string{"0x1f", "xyz", "12 34", "12:34", "-1", "g"},
	},
	"semver": {
		valid: []string{
			"0.0.4", "1.2.3", "10.20.30", "1.1.2-prerelease+meta", "1.1.2+meta", "1.0.0-alpha", "1.0.0-alpha.beta", "1.0.0-alpha.1", "1.0.0-alpha.0valid", "1.0.0-rc.1+build.1",
			"1.2.3----RC-SNAPSHOT.12.9.1--.12+788", "1.0.0+0.build.1-rc.10000aaa-kk-0.1", "99999999999999999999999.999999999999999999.99999999999999999", "1.0.0-0A.is.legal", "1.0.0+001",
		},
		invalid: []string{
			"1", "1.2", "1.2.3-0123", "1.2.3-0123.0123", "1.1.2+.123", "+invalid", "-invalid", "alpha", "1.0.0-alpha_beta", "1.0.0-alpha..1", "01.1.1", "1.01.1", "1.1.01",
			"1.2.3.DEV", "1.2-SNAPSHOT", "1.2.31.2.3----RC-SNAPSHOT.12.09.1--..12+788", "-1.0.3-gamma+b7718", "+justmeta", "9.8.7+meta+meta", "9.8.7-whatever+meta+meta", "v1.2.3", "1.2.3-", "1.2.3+", "1.2.3 ",
		},
	},
	"luhn": {
		valid:   []string{"79927398713", "4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "18", "490154203237518"},
		invalid: []string{"79927398710", "79927398714", "4111111111111112", "0", "5", "4111  1111 1111 1111", " 18", "18 ", "1-", "-18", "4111a", "1.8"},
	},
	"iban": {
		valid: []string{
			"AD1200012030200359100100", "AE070331234567890123456", "AL47212110090000000235698741", "AT611904300234573201", "AZ21NABZ00000000137010001944", "BA391290079401028494",
			"BE68539007547034", "BG80BNBG96611020345678", "BH67BMAG00001299123456", "BR1800360305000010009795493C1", "BY13NBRB3600900000002Z00AB00", "CH9300762011623852957",
			"CR05015202001026284066", "CY17002001280000001200527600", "CZ6508000000192000145399", "DE89370400440532013000", "DK5000400440116243", "DO28BAGR00000001212453611324",
			"EE382200221020145685", "EG380019000500000000263180002", "ES9121000418450200051332", "FI2112345600000785", "FO6264600001631634", "FR1420041010050500013M02606",
			"GB29NWBK60161331926819", "GE29NB0000000101904917", "GI75NWBK000000007099453", "GL8964710001000206", "GR1601101250000000012300695", "GT82TRAJ01020000001210029690",
			"HR1210010051863000160", "HU42117730161111101800000000", "IE29AIBK93115212345678", "IL620108000000099999999", "IQ98NBIQ850123456789012", "IS140159260076545510730339",
			"IT60X0542811101000000123456", "JO94CBJO0010000000000131000302", "KW81CBKU0000000000001234560101", "KZ86125KZT5004100100", "LB62099900000001001901229114",
			"LC55HEMM000100010012001200023015", "LI21088100002324013AA", "LT121000011101001000", "LU280019400644750000", "LV80BANK0000435195001", "MC5811222000010123456789030",
			"MD24AG000225100013104168", "ME25505000012345678951", "MK07250120000058984", "MR1300020001010000123456753", "MT84MALT011000012345MTLCAST001S", "MU17BOMM0101101030300200000MUR",
			"NL91ABNA0417164300", "NO9386011117947", "PK36SCBL0000001123456702", "PL61109010140000071219812874", "PS92PALS000000000400123456702", "PT50000201231234567890154",
			"QA58DOHB00001234567890ABCDEFG", "RO49AAAA1B31007593840000", "RS35260005601001611379", "SA0380000000608010167519", "SC18SSCB11010000000000001497USD", "SE4550000000058398257466",
			"SI56263300012039086", "SK3112000000198742637541", "SM86U0322509800000000270100", "ST68000100010051845310112", "SV62CENR00000000000000700025", "TL380080012345678910157",
			"TN5910006035183598478831", "TR330006100519786457841326", "UA213223130000026007233566001", "VA59001123000012345678", "VG96VPVG0000012345678901", "XK051212012345678906",
			"DE89 3704 0044 0532 0130 00", "GB29 NWBK 6016 1331 9268 19",
		},
		invalid: []string{
			"DE89370400440532013001", "DE8937040044053201300", "DE893704004405320130000", "de89370400440532013000", "US89370400440532013000", "DE89 37040044 0532 0130 00",
			"DE89  3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 00 ", "DE89-3704-0044-0532-0130-00", "GB82 WEST 1234 5698 7654 33", "DE", "DE00", "DEXX370400440532013000",
			"1234370400440532013000", long(40), "FR7630006000011234567890188", " DE89370400440532013000",
		},
	},
	"bic": {
		valid:   []string{"DEUTDEFF", "DEUTDEFF500", "NEDSZAJJXXX", "UNCRITMM", "RBKOXKPR", "1234DEFF"},
		invalid: []string{"DEUTDEF", "DEUTDEFF5", "deutdeff", "DEUTD1FF", "DEUTZZFF", "DEUTDEFF50", "DEUTDEFF50000", "DEUT DEFF"},
	},
	"isbn": {
		valid:   []string{"0-306-40615-2", "0306406152", "978-0-306-40615-7", "9780306406157", "0-8044-2957-X", "080442957X", "979-10-90636-07-1", "978 3 16 148410 0"},
		invalid: []string{"0-306-40615-3", "978-0-306-40615-8", "080442957x", "X804429570", "0804X29570", "9770306406157", "978-0-306-4061-5-7", "978--0306406157", "978-0 306-40615-7", "-9780306406157", "9780306406157-", "97803064061", "03064061523", "97803064061570"},
	},
	"ean": {
		valid:   []string{"4006381333931", "73513537", "96385074", "5901234123457", "0012345678905", "00000000"},
		invalid: []string{"4006381333930", "73513536", "400638133393", "40063813339310", "4006381 333931", "400638133393X", "036000291452", ""},
	},
	"country": {
		valid:   []string{"DE", "DEU", "US", "USA", "SS", "SSD", "ZW", "ZWE", "AX", "BES"},
		invalid: []string{"de", "De", "UK", "EU", "XK", "ZZ", "GER", "D", "DEUT", "AAA", "276", "SU", "AN"},
	},
	"currency": {
		valid:   []string{"EUR", "USD", "JPY", "XAU", "XXX", "ZWG", "XCG", "BGN", "CHF"},
		invalid: []string{"eur", "EU", "EURO", "DEM", "HRK", "AAA", "€", "978", "E R"},
	},
	"language": {
		valid:   []string{"de", "deu", "en-US", "zh-Hant-TW", "sr-Latn-RS", "de-CH-1996", "es-419", "EN", "i-klingon", "und", "sl-rozaj"},
		invalid: []string{"xx", "qq", "english", "en_US", "de-", "d", "deutsch", "en-ZZZ", "e1", "-en", "1a"},
	},
	"phone": {
		valid:   []string{"+14155552671", "+4930123456", "+442071838750", "+551155256325", "+290 22222"[:4] + "22222", "+6834000", "+390612345678", "+71234567890", "+881612345678"},
		invalid: []string{"14155552671", "+1 415 555 2671", "+1-415-555-2671", "0049301234", "+0123456789", "+999123456789", "+2101234567", "+1415", "+1234567890123456", "+49a30123456", "+", "(415) 555-2671", "+800", "+3911"},
	},
	"latitude": {
		valid:   []string{"0", "-90", "90", "+52.52", "48.137154", "90.0", ".5", "5.", "1e-07", "-0"},
		invalid: []string{"90.0001", "-90.1", "181", "NaN", "Inf", "52,52", "52°31'", "52.5N", "", "-", ".", "1e", "1e5", " 5", "0x1", "1_0", "1.2.3", "9e999"},
	},
	"longitude": {
		valid:   []string{"0", "-180", "180", "13.405", "-122.4194", "90.0001", "1.8e2"},
		invalid: []string{"180.0001", "-181", "nan", "13,4", "13.4E", "--1"},
	},
}

func TestFormats(t *testing.T) {
	t.Parallel()
	names := textformat.Names()
	require.Len(t, names, 28)
	require.Len(t, examples, len(names))
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			valid, ok := textformat.Lookup(name)
			require.True(t, ok)
			require.NotEmpty(t, textformat.Standard(name))
			require.NotEmpty(t, examples[name].valid)
			for _, text := range examples[name].valid {
				require.True(t, valid([]byte(text)), "%q is a valid %s", text, name)
			}
			for _, text := range append(examples[name].invalid, "", " ", "\x00", "\xff\xfe", "ü") {
				require.False(t, valid([]byte(text)), "%q is not a valid %s", text, name)
			}
		})
	}
}

func TestLookupOfNoFormat(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "Email", "ip", "e-mail"} {
		v, ok := textformat.Lookup(name)
		require.False(t, ok)
		require.Nil(t, v)
		require.Empty(t, textformat.Standard(name))
	}
}

// White space around a text is a part of it. JSON alone allows it itself.
func TestNoFormatTrims(t *testing.T) {
	t.Parallel()
	for _, name := range textformat.Names() {
		if name == "json" {
			continue
		}
		valid, _ := textformat.Lookup(name)
		for _, text := range examples[name].valid {
			for _, around := range []string{" " + text, text + " ", text + "\n", "\t" + text, text + "\x00", text + "\u00a0"} {
				require.False(t, valid([]byte(around)), "%q as %s", around, name)
			}
		}
	}
}

func TestFormatsDoNotAllocate(t *testing.T) {
	// A tag of several parts and JSON are read by libraries with memory of
	// their own; that of JSON and of a number beyond all bounds is for the error.
	allowed := map[string]float64{"language": 12, "json": 5, "latitude": 2}
	for _, name := range textformat.Names() {
		valid, _ := textformat.Lookup(name)
		for _, text := range append(examples[name].valid, examples[name].invalid...) {
			if len(text) > 1000 {
				continue
			}
			b := []byte(text)
			require.LessOrEqual(t, testing.AllocsPerRun(20, func() { valid(b) }), allowed[name], "%s of %q", name, text)
		}
	}
}

func TestCodesOfTwoLettersDoNotAllocate(t *testing.T) {
	valid, _ := textformat.Lookup("language")
	b := []byte("de")
	require.Zero(t, testing.AllocsPerRun(100, func() { valid(b) }))
}

func BenchmarkFormats(b *testing.B) {
	for _, name := range textformat.Names() {
		valid, _ := textformat.Lookup(name)
		text := []byte(examples[name].valid[0])
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				valid(text)
			}
		})
	}
}
