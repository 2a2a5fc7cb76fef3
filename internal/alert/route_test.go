package alert

import (
	"testing"

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
			var got []string
			for _, m := range Messages(&tt.inc, EventOpened, Options{Channels: tt.channels, Routes: tt.routes}) {
				got = append(got, m.Channel)
				require.Equal(t, EventOpened, m.Event)
			}
			require.Equal(t, tt.want, got)
		})
	}
	key := Messages(&inc, EventRaised, Options{Channels: all})[1].Key
	require.Equal(t, "I1/4/raised/oncall", key)
}

func TestChannelsThatShowAnIncidentLearnOfItsEnd(t *testing.T) {
	t.Parallel()
	inc := Incident{ID: "I1", Threads: map[string]Thread{"old": {"C1", "1"}, "gone": {"C2", "2"}, "data": {"C3", "3"}}}
	ms := Messages(&inc, EventResolved, Options{Channels: []string{"data", "old"}, Routes: []Route{{Channels: []string{"data"}}}})
	require.Len(t, ms, 2)
	require.Equal(t, "data", ms[0].Channel)
	require.Equal(t, "old", ms[1].Channel)
	ms[0].Incident.Threads["data"] = Thread{}
	require.Equal(t, "3", inc.Threads["data"].Message, "messages share no memory with the incident")
}

func TestValidateNamesEveryMistake(t *testing.T) {
	t.Parallel()
	good := Options{Channels: []string{"data"}, Routes: []Route{{Match: Match{Dataset: "shop/[a-z]*", Severity: "warn"}, Channels: []string{"data"}}}}
	require.NoError(t, good.Validate())
	bad := Options{ResolveAfter: -1, Channels: []string{"data"}, Routes: []Route{
		{Match: Match{Dataset: "shop/[a"}, Channels: []string{"dta"}}, {Match: Match{Severity: "critical"}},
	}}
	require.EqualError(t, bad.Validate(), "resolve_after is -1: it must be at least 1\n"+
		"route 1: the dataset pattern \"shop/[a\" is broken: close its bracket\n"+
		"the channel \"dta\" is not configured under alerts.channels\n"+
		"route 2: the severity \"critical\" is unknown: use warn or fail")
}
