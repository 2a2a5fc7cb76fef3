package datagen

import (
	"fmt"
	"strconv"
)

// Sizes of the columns of trips: distinct values of a table of some million
// rows.
const (
	distances = 2_992
	fares     = 8_691
	totals    = 8_001
	drivers   = 194_419
	zones     = 263
)

// tripsStart is 2024-01-01; one trip begins every 2.986 seconds from then on, give
// or take an hour. So 7 million trips begin in about 5.96 million seconds that
// differ.
const (
	tripsStart  = 1_704_067_200
	tripsMillis = 2_986
)

// The columns of trips, in order.
const (
	tripHash = iota
	tripVendor
	tripPickedUp
	tripDroppedOff
	tripPassengers
	tripPickupZone
	tripDropoffZone
	tripBorough
	tripDistrict
	tripRate
	tripPayment
	tripDistance
	tripFare
	tripExtra
	tripTip
	tripTolls
	tripTotal
	tripDriver
	tripShared
	tripNote
)

var (
	boroughs = words("Manhattan", "Queens", "Brooklyn", "Bronx", "Airport", "Staten Island")
	rates    = words("standard", "airport", "negotiated", "group", "night", "fixed")
	payments = words("card", "cash", "voucher", "no charge", "dispute")
	extras   = []int64{0, 0, 0, 50, 100, 250, 275}
	tolls    = []int64{0, 0, 0, 0, 0, 0, 0, 612, 655, 694, 1275}
	remarks  = words(
		`left a bag, called back`, `said "thanks", gave 5 stars`, `waited, then cancelled`, `asked for "the quiet way"`,
		`two stops, one refused`, `luggage, large`, `child seat, "please"`, `card declined, paid in cash`,
	)
)

// districts are the names of the zones.
var districts = func() [][]byte {
	sides := []string{"North", "South", "East", "West", "Centre", "Heights", "Park", "Harbour"}
	places := []string{"Astoria", "Bayside", "Chelsea", "Dumbo", "Elmhurst", "Flatbush", "Gowanus", "Harlem", "Inwood", "Jamaica", "Kips Bay"}
	names := make([]string, zones)
	for i := range names {
		names[i] = fmt.Sprintf("%s %s", places[i%len(places)], sides[i/len(places)%len(sides)])
		if round := i / (len(places) * len(sides)); round > 0 {
			names[i] += " " + strconv.Itoa(round+1)
		}
	}
	return words(names...)
}()

// Trips returns the table of engine.md: the trips of a taxi fleet, about in
// the order of their beginning. Fares have 8,691 distinct values, totals
// 8,001, distances 2,992, drivers 194,419; hashes are unique; 90 % of the
// notes are null.
func Trips() *Table {
	return &Table{
		Name: "trips", BlockRows: 8_192, DefaultRows: 7_000_000, fill: fillTrips,
		Columns: []Column{
			{Name: "trip_hash", Kind: Text},
			{Name: "vendor", Kind: Integer, Repeats: true},
			{Name: "picked_up_at", Kind: Timestamp},
			{Name: "dropped_off_at", Kind: Timestamp},
			{Name: "passengers", Kind: Integer, Nullable: true, Repeats: true},
			{Name: "pickup_zone", Kind: Integer, Repeats: true},
			{Name: "dropoff_zone", Kind: Integer, Repeats: true},
			{Name: "borough", Kind: Text, Repeats: true},
			{Name: "district", Kind: Text, Repeats: true},
			{Name: "rate", Kind: Text, Repeats: true},
			{Name: "payment", Kind: Text, Nullable: true, Repeats: true},
			{Name: "distance", Kind: Cents, Repeats: true},
			{Name: "fare", Kind: Cents, Repeats: true, Decimal: true},
			{Name: "extra", Kind: Cents, Repeats: true},
			{Name: "tip", Kind: Cents, Repeats: true},
			{Name: "tolls", Kind: Cents, Repeats: true},
			{Name: "total", Kind: Cents, Repeats: true, Decimal: true},
			{Name: "driver", Kind: Text},
			{Name: "shared", Kind: Boolean, Repeats: true},
			{Name: "note", Kind: Text, Nullable: true, Repeats: true, Quoted: true},
		},
	}
}

func fillTrips(b *Block, r *random) {
	v := b.Values
	fillTripPlaces(b, r)
	fillTripMoney(b, r)
	for i := range b.Rows {
		row := uint64(b.First) + uint64(i)
		id := &v[tripHash]
		id.Bytes = appendHex(appendHex(id.Bytes, mix(row)), mix(row^0x5eed))
		id.end()

		at := tripsStart + (b.First+int64(i))*tripsMillis/1000 + r.upTo(7_200)
		v[tripPickedUp].Ints[i] = at
		v[tripDroppedOff].Ints[i] = at + 90 + v[tripDistance].Ints[i]*3/2 + r.skewed(1_800)

		driver := &v[tripDriver]
		n := r.upTo(drivers)
		if r.Uint64()&3 == 0 { // some drive more than others
			n = n * n / drivers
		}
		driver.Bytes = appendDigits(append(driver.Bytes, 'D'), n, 6)
		driver.end()

		v[tripShared].Ints[i] = boolean(r.percent(7))
		note := &v[tripNote]
		if note.Null[i] = r.percent(90); !note.Null[i] {
			u := r.Uint64()
			note.Bytes = append(note.Bytes, remarks[u&7]...)
			if u>>3&3 == 0 {
				note.Bytes = append(note.Bytes, ", case "...)
				note.Bytes = strconv.AppendInt(note.Bytes, int64(u>>32)%10_000, 10)
			}
		}
		note.end()
	}
}

func fillTripPlaces(b *Block, r *random) {
	v := b.Values
	v[tripBorough].Words, v[tripDistrict].Words = boroughs, districts
	v[tripRate].Words, v[tripPayment].Words = rates, payments
	for i := range b.Rows {
		v[tripVendor].Ints[i] = 1 + r.skewed(6)
		v[tripPassengers].Ints[i] = r.skewed(9)
		v[tripPassengers].Null[i] = r.percent(2)
		from, to := r.skewed(zones), r.skewed(zones)
		v[tripPickupZone].Ints[i], v[tripDropoffZone].Ints[i] = 1+from, 1+to
		v[tripBorough].Ints[i], v[tripDistrict].Ints[i] = from*6/zones, to
		v[tripRate].Ints[i] = r.skewed(6)
		v[tripPayment].Ints[i] = r.skewed(5)
		v[tripPayment].Null[i] = r.upTo(200) == 0
	}
}

func fillTripMoney(b *Block, r *random) {
	v := b.Values
	for i := range b.Rows {
		fare, tip := 250+r.skewed(fares), int64(0)
		if r.percent(60) {
			tip = r.skewed(2_000)
		}
		extra, toll := extras[r.upTo(int64(len(extras)))], tolls[r.upTo(int64(len(tolls)))]
		v[tripDistance].Ints[i] = r.skewed(distances)
		v[tripFare].Ints[i], v[tripExtra].Ints[i] = fare, extra
		v[tripTip].Ints[i], v[tripTolls].Ints[i] = tip, toll
		v[tripTotal].Ints[i] = min(max(fare+extra+tip+toll, 300), 300+totals-1) // a least and a highest price
	}
}

func boolean(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// appendDigits appends a number with at least so many digits, of up to 20.
func appendDigits(b []byte, n int64, width int) []byte {
	var digits [20]byte
	at := len(digits)
	for n > 0 || width > 0 {
		at--
		digits[at] = byte('0' + n%10)
		n, width = n/10, width-1
	}
	return append(b, digits[at:]...)
}
