module statsd-exporter-of-the-tests

go 1.19

require github.com/prometheus/statsd_exporter v0.25.0
