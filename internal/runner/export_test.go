package runner

// ChangedAt is for tests of what keeps a file from the sweep.
var ChangedAt = changedAt
