//go:build tools

// Names the program that go.mod pins, so that its dependencies are pinned as well.
package tools

import _ "github.com/prometheus/statsd_exporter"
