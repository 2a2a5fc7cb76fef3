// Package webtest fills a history with what the web pages and the API have to
// show: six datasets of a shop with 60 batches each, judged by real rules, with
// faults that come in over time.
package webtest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source/csv"
	"github.com/profilerhq/profiler/internal/store"
)

// Batches is the number of batches of each dataset.
const Batches = 60

// Now is the time at which the pages are looked at: two hours after the last
// batch.
var Now = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

// Rules are the rules of the shop, as a rule file would have them.
const Rules = `version: 1
dataset: shop/orders
owner: orders-team
key: order_id
columns:
  order_id: [not_null, unique]
  amount: [{range: {min: 0, max: 10000}, fail: 0, name: amounts are plausible}]
  country: [{in: [DE, FR, NL, AT], severity: warn}]
checks:
  - row_count: {min: 60}
---
version: 1
dataset: shop/customers
key: customer
columns:
  email: [{null_rate: {max: 10%}}, {matches: "@"}]
---
version: 1
dataset: shop/payments
columns:
  method: [{in: [card, cash, transfer]}]
  paid: [not_null]
---
version: 1
dataset: sensors/temperature
columns:
  celsius: [{range: {min: -40, max: 60}}, {mean: {min: 5, max: 30}, severity: warn}]
`

// Fill records the batches. The same data every time.
func Fill(ctx context.Context, s *store.Store) error {
	sets, diags := rules.Parse("rules/shop.yaml", []byte(Rules), func(string) (string, bool) { return "", false })
	if err := diags.Err(); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(7, 11))
	id := 0
	for i := range Batches {
		at := Now.Add(-2*time.Hour).AddDate(0, 0, i+1-Batches)
		var steps []string
		for _, d := range shop {
			var apply []*rules.Set
			for _, set := range sets {
				if set.Dataset == d.name {
					apply = append(apply, set)
				}
			}
			subject := monitor.Subject{
				Dataset: d.name, Batch: fmt.Sprintf(d.batch, at.Format(time.DateOnly)), At: at, Rules: apply,
				Source: profile.Source{URL: d.name + ".csv", Format: "csv", Files: 1},
			}
			if d.step != "" {
				subject.Origin = checks.Origin{Pipeline: "nightly", Step: d.step, Run: fmt.Sprintf("run-%03d", i)}
				subject.Ancestors = append([]string(nil), steps...)
				steps = append(steps, d.step)
			}
			id++
			if err := Record(ctx, s, subject, d.rows(r, i), fmt.Sprintf("01INCIDENT%016d", id)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Record profiles and judges CSV text as one batch and records it with what it
// does to incidents. id is that of an incident that it opens.
func Record(ctx context.Context, s *store.Store, subject monitor.Subject, text, id string) error {
	reader, err := csv.New(bytes.NewReader([]byte(text)), csv.Options{Source: subject.Source.URL})
	if err != nil {
		return err
	}
	defer reader.Close() //nolint:errcheck // only releases memory
	outcome, err := monitor.New(monitor.Options{Now: func() time.Time { return subject.At }, FailingRows: checks.DefaultFailingRows}).Observe(ctx, reader, subject)
	if err != nil {
		return err
	}
	_, err = s.Record(ctx, store.Observation{Profile: outcome.Profile, Report: outcome.Report, Side: subject.Side}, func(st store.IncidentState) store.IncidentChange {
		c := alert.Decide(alert.Input{Current: st.Current, Pipeline: st.Pipeline, Ancestors: subject.Ancestors, Report: outcome.Report, Now: subject.At, ID: func() string { return id }}, alert.Options{})
		if c == nil {
			return store.IncidentChange{}
		}
		return store.IncidentChange{Incidents: []alert.Incident{c.Incident}}
	})
	return err
}

type dataset struct {
	name, batch, step string
	rows              func(r *rand.Rand, day int) string
}

var shop = []dataset{
	{"shop/orders", "orders/%s.csv", "load", func(r *rand.Rand, day int) string {
		n := 110 + day + r.IntN(20)
		if day == 23 {
			n = 40
		}
		return table("order_id,amount,country,channel,ordered_at", n, func(i int) string {
			amount := 1 + math.Abs(20+8*r.NormFloat64()+float64(r.IntN(60)))
			country := pick(r, "DE", "DE", "DE", "FR", "FR", "NL", "AT")
			if day == 41 && i%29 == 0 {
				country = "XX"
			}
			if day >= 58 && i%9 == 0 {
				amount = -amount
			}
			return fmt.Sprintf("A%05d,%.2f,%s,%s,2026-11-%02dT%02d:%02d:00Z", day*200+i, amount, country, pick(r, "web", "web", "shop", "app"), 1+day%28, r.IntN(24), r.IntN(60))
		})
	}},
	{"shop/order_lines", "orders/%s.csv", "explode", func(r *rand.Rand, day int) string {
		return table("order_id,line,sku,quantity", 220+2*day+r.IntN(30), func(i int) string {
			return fmt.Sprintf("A%05d,%d,SKU-%03d,%d", day*200+i/2, i%2+1, r.IntN(300), 1+r.IntN(5))
		})
	}},
	{"shop/customers", "%s", "", func(r *rand.Rand, day int) string {
		return table("customer,email,birthday,newsletter", 80+r.IntN(9), func(i int) string {
			email := fmt.Sprintf("c%d@example.com", i)
			if day >= 12 && day < 15 && i%4 == 0 || i%40 == 1 {
				email = ""
			}
			return fmt.Sprintf("%d,%s,19%02d-%02d-11,%t", i, email, 50+r.IntN(49), 1+r.IntN(12), r.IntN(3) == 0)
		})
	}},
	{"shop/payments", "%s", "settle", func(r *rand.Rand, day int) string {
		return table("payment,method,paid,fee", 90+r.IntN(25), func(i int) string {
			paid, method := fmt.Sprintf("%.2f", 5+r.ExpFloat64()*40), pick(r, "card", "card", "card", "cash", "transfer")
			if day == 59 && i%12 == 0 {
				paid, method = "", "crypto"
			}
			return fmt.Sprintf("P%05d,%s,%s,%.3f", i, method, paid, r.Float64())
		})
	}},
	{"sensors/temperature", "%s", "", func(r *rand.Rand, day int) string {
		return table("sensor,celsius,at", 144, func(i int) string {
			c := 18 + 6*r.NormFloat64()
			if day == 59 {
				c += 16
			}
			return fmt.Sprintf("s%d,%.1f,%02d:%02d", i%4, c, i/6, i%6*10)
		})
	}},
	{"finance/exchange rates", "%s", "", func(r *rand.Rand, _ int) string {
		return table("currency,rate", 32, func(i int) string { return fmt.Sprintf("C%02d,%.4f", i, 0.5+r.Float64()) })
	}},
}

func table(header string, n int, row func(i int) string) string {
	var b strings.Builder
	b.WriteString(header + "\n")
	for i := range n {
		b.WriteString(row(i) + "\n")
	}
	return b.String()
}

func pick(r *rand.Rand, values ...string) string { return values[r.IntN(len(values))] }
