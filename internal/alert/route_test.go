package alert

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	all := []string{"data", "oncall", "prom"}
	inc := Incident{ID: "I1", Revision: 4, Dataset: "shop/orders", Owner: "orders-team", Severity: checks.SeverityFail, Tags: []string{"gold", "pii"}}
	bare := Incident{ID: "I2", Dataset: "default/orders", Severity: checks.SeverityWarn}
	tests := map[string]struct {
		inc      Incident
		channels []string
		routes   []Route
		want     []string
	}{
		"no channel: the console":        {inc, nil, nil, []string{Console}},
		"no routes: all channels":        {inc, all, nil, all},
		"first match wins":               {inc, all, []Route{{Match{Owner: "x"}, []string{"prom"}, false}, {Match{Owner: "orders-team"}, []string{"data"}, false}, {Match{}, []string{"oncall"}, false}}, []string{"data"}},
		"continue goes on, each once":    {inc, all, []Route{{Match{Tag: "gold"}, []string{"oncall"}, true}, {Match{}, []string{"data", "oncall"}, false}}, []string{"oncall", "data"}},
		"nothing matches":                {inc, all, []Route{{Match{Tag: "silver"}, []string{"oncall"}, false}}, nil},
		"a route without channels mutes": {inc, all, []Route{{Match{Dataset: "shop/*"}, nil, false}, {Match{}, all, false}}, nil},
		"all fields must match":          {inc, all, []Route{{Match{Tag: "gold", Severity: checks.SeverityWarn}, []string{"oncall"}, false}, {Match{Tag: "pii", Severity: checks.SeverityFail, Dataset: "shop/ord*", Owner: "orders-team"}, []string{"prom"}, false}}, []string{"prom"}},
		"a star matches slashes":         {inc, all, []Route{{Match{Dataset: "*"}, []string{"data"}, false}}, []string{"data"}},
		"a glob is for the whole name":   {inc, all, []Route{{Match{Dataset: "shop"}, []string{"data"}, false}, {Match{Dataset: "shop/order"}, []string{"data"}, false}}, nil},
		"a bare name is default's":       {bare, all, []Route{{Match{Dataset: "orders"}, []string{"data"}, false}}, []string{"data"}},
		"a bare name is not another's":   {inc, all, []Route{{Match{Dataset: "orders"}, []string{"data"}, false}}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{Channels: tt.channels, Routes: tt.routes}
			require.Equal(t, tt.want, o.channelsFor(&tt.inc))
		})
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	c := Change{Incident: Incident{ID: "I1", Dataset: "a/b", Revision: 4, UpdatedAt: day0, Channels: []string{"old", "gone", "data"}}, Event: EventUpdated}
	o := Options{Channels: []string{"data", "old"}}
	require.Equal(t, []Notice{
		{Channel: "old", Story: "I1", Dataset: "a/b", Event: EventUpdated, Revision: 4, Due: day0},
		{Channel: "data", Story: "I1", Dataset: "a/b", Event: EventUpdated, Revision: 4, Due: day0},
	}, c.Notices(o), "channels that show it, unless they are configured no more")
	c.Event = EventOpened
	require.Equal(t, day0.Add(30*time.Second), c.Notices(o)[0].Due, "a bad load fails many checks at once")
	o.GroupWait = -1
	require.Equal(t, day0, c.Notices(o)[0].Due)
	c.Event = ""
	require.Empty(t, c.Notices(o))
	require.Equal(t, "I1/4/raised/oncall", Key("I1", 4, EventRaised, "oncall"))
}

func TestValidateNamesEveryMistake(t *testing.T) {
	t.Parallel()
	good := Options{Channels: []string{"data"}, Routes: []Route{{Match: Match{Dataset: "shop/[a-z]*", Severity: "warn"}, Channels: []string{"data"}}}}
	require.NoError(t, good.Validate())
	bad := Options{ResolveAfter: -1, Channels: []string{"data"}, Routes: []Route{
		{Match: Match{Dataset: "shop/[a"}, Channels: []string{"dta"}}, {Match: Match{Severity: "critical"}},
	}, Silences: []Silence{{From: day0, To: day0}}, Windows: []Window{{From: -1, Why: "x"}}, Confirm: []Confirm{{Match: Match{Dataset: "["}}}}
	require.EqualError(t, bad.Validate(), "resolve_after is -1: it must be at least 1\n"+
		"route 1: the dataset pattern \"shop/[a\" is broken: close its bracket\n"+
		"the channel \"dta\" is not configured under alerts.channels\n"+
		"route 2: the severity \"critical\" is unknown: use warn or fail\n"+
		"silence 1: why is missing: say what it is for\n"+
		"it ends before it begins\n"+
		"maintenance window 1: -1ns is no time of the day\n"+
		"confirm 1: the dataset pattern \"[\" is broken: close its bracket")
}
