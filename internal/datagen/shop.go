// Package datagen makes seeded sample data and puts known faults into it, for
// the demo, benchmarks and tests.
package datagen

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"
)

// Fault is a change of a day's orders that a check should find.
type Fault string

// The faults that come from the source of the orders.
const (
	NoFault     Fault = ""
	NullEmails  Fault = "nulls"        // a third of the emails is missing
	NewStatus   Fault = "new category" // a status that was never there
	CentAmounts Fault = "unit"         // amounts in cents
	HalfTheRows Fault = "lost rows"    // the second half of the day is missing
	FrozenItems Fault = "frozen"       // two thirds of the orders have one item
)

// Shop makes the orders of a shop: a weekly season, growth of 0.2 % a day, and
// noise. Equal seeds and days give equal orders.
type Shop struct{ Seed uint64 }

// weekday is the season of the volume, Sunday first.
var weekday = [7]float64{0.80, 1.00, 0.97, 1.00, 1.05, 1.20, 1.35}

// epoch is the day on which the shop opened; growth counts from it.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type weighted struct {
	text  string
	share float64
}

var (
	countries = []weighted{{"DE", 0.45}, {"FR", 0.20}, {"NL", 0.15}, {"IT", 0.12}, {"US", 0.08}}
	statuses  = []weighted{{"paid", 0.82}, {"shipped", 0.10}, {"refunded", 0.05}, {"cancelled", 0.03}}
)

func pick(rng *rand.Rand, from []weighted) string {
	u := rng.Float64()
	for _, w := range from {
		if u -= w.share; u < 0 {
			return w.text
		}
	}
	return from[0].text
}

// WriteOrders writes the orders of a day as CSV with CRLF line ends, as the
// shop's system exports them, and returns how many there are.
func (s Shop) WriteOrders(w io.Writer, day time.Time, fault Fault) (int, error) {
	n := int(day.Sub(epoch).Hours() / 24)
	rng := rand.New(rand.NewPCG(s.Seed, uint64(n)+1000))
	volume := 900 * math.Pow(1.002, float64(n)) * weekday[day.Weekday()] * (1 + 0.04*rng.NormFloat64())
	rows := max(1, int(volume))
	if fault == HalfTheRows {
		rows /= 2
	}
	b := bufio.NewWriter(w)
	fmt.Fprint(b, "order_id,customer_id,email,country,status,items,amount,currency,created_at\r\n")
	for i := range rows {
		customer := 1 + rng.IntN(40_000)
		email := fmt.Sprintf("Customer%d@example.com", customer)
		country, status := pick(rng, countries), pick(rng, statuses)
		items := 1 + int(math.Abs(rng.NormFloat64())*1.5)
		amount := math.Exp(3.4+0.6*rng.NormFloat64()) * float64(items)
		currency := "EUR"
		if country == "US" {
			currency = "USD"
		}
		lot := rng.Float64()
		switch fault {
		case NullEmails:
			if lot < 0.33 {
				email = ""
			}
		case NewStatus:
			if lot < 0.12 {
				status = "on_hold"
			}
		case CentAmounts:
			amount *= 100
		case FrozenItems:
			if lot < 0.67 {
				items = 1
			}
		case NoFault, HalfTheRows:
		}
		at := day.Add(time.Duration(i) * 24 * time.Hour / time.Duration(rows+1)).Truncate(time.Second)
		fmt.Fprintf(b, "A%05d-%04d,C%05d,%s,%s,%s,%d,%.2f,%s,%s\r\n", n, i+1, customer, email, country, status, items, amount, currency, at.Format("2006-01-02T15:04:05Z"))
	}
	return rows, b.Flush()
}
