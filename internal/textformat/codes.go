package textformat

// bic accepts 8 or 11 capital letters and digits: business party prefix (4),
// country (2), suffix (2) and branch (3). The country is one of ISO 3166-1, or
// XK, which SWIFT uses for Kosovo.
func bic(b []byte) bool {
	if len(b) != 8 && len(b) != 11 || !isUpper(b[4]) || !isUpper(b[5]) {
		return false
	}
	kosovo := b[4] == 'X' && b[5] == 'K'
	return (kosovo || alpha2[b[4]-'A'][b[5]-'A'] != 0) && all(b, func(c byte) bool { return isUpper(c) || isDigit(c) })
}

// country accepts the assigned codes of ISO 3166-1, in capitals, of two or of
// three letters. Reserved codes (UK, EU, XK) are none.
func country(b []byte) bool {
	if !all(b, isUpper) {
		return false
	}
	switch len(b) {
	case 2:
		return alpha2[b[0]-'A'][b[1]-'A'] != 0
	case 3:
		return alpha3.has(b)
	}
	return false
}

// currency accepts codes of ISO 4217 in capitals that were in force in 2025 or
// later, those of funds, metals and tests included.
func currency(b []byte) bool {
	return len(b) == 3 && all(b, isUpper) && currencies.has(b)
}

// triples is a set of codes of three capital letters, one bit each.
type triples [26][26]uint32

func (t *triples) has(b []byte) bool {
	return t[b[0]-'A'][b[1]-'A']&(1<<(b[2]-'A')) != 0
}

// triplesOf reads codes that single spaces separate.
func triplesOf(list string) (t triples) {
	for i := 0; i+2 < len(list); i += 4 {
		t[list[i]-'A'][list[i+1]-'A'] |= 1 << (list[i+2] - 'A')
	}
	return t
}

var (
	alpha2     = pairsOf(map[uint8]string{1: countryCodes2})
	alpha3     = triplesOf(countryCodes3)
	currencies = triplesOf(currencyCodes)
)

const countryCodes2 = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ " +
	"BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ " +
	"CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ " +
	"DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR " +
	"GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY " +
	"HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP " +
	"KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY " +
	"MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ " +
	"NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY " +
	"QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ " +
	"TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ " +
	"VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"

const countryCodes3 = "AND ARE AFG ATG AIA ALB ARM AGO ATA ARG ASM AUT AUS ABW ALA AZE " +
	"BIH BRB BGD BEL BFA BGR BHR BDI BEN BLM BMU BRN BOL BES BRA BHS BTN BVT BWA BLR BLZ " +
	"CAN CCK COD CAF COG CHE CIV COK CHL CMR CHN COL CRI CUB CPV CUW CXR CYP CZE " +
	"DEU DJI DNK DMA DOM DZA ECU EST EGY ESH ERI ESP ETH FIN FJI FLK FSM FRO FRA " +
	"GAB GBR GRD GEO GUF GGY GHA GIB GRL GMB GIN GLP GNQ GRC SGS GTM GUM GNB GUY " +
	"HKG HMD HND HRV HTI HUN IDN IRL ISR IMN IND IOT IRQ IRN ISL ITA JEY JAM JOR JPN " +
	"KEN KGZ KHM KIR COM KNA PRK KOR KWT CYM KAZ LAO LBN LCA LIE LKA LBR LSO LTU LUX LVA LBY " +
	"MAR MCO MDA MNE MAF MDG MHL MKD MLI MMR MNG MAC MNP MTQ MRT MSR MLT MUS MDV MWI MEX MYS MOZ " +
	"NAM NCL NER NFK NGA NIC NLD NOR NPL NRU NIU NZL OMN PAN PER PYF PNG PHL PAK POL SPM PCN PRI PSE PRT PLW PRY " +
	"QAT REU ROU SRB RUS RWA SAU SLB SYC SDN SWE SGP SHN SVN SJM SVK SLE SMR SEN SOM SUR SSD STP SLV SXM SYR SWZ " +
	"TCA TCD ATF TGO THA TJK TKL TLS TKM TUN TON TUR TTO TUV TWN TZA UKR UGA UMI USA URY UZB " +
	"VAT VCT VEN VGB VIR VNM VUT WLF WSM YEM MYT ZAF ZMB ZWE"

const currencyCodes = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD " +
	"CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD " +
	"HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD " +
	"MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR " +
	"RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS " +
	"UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA XXX " +
	"YER ZAR ZMW ZWG"
