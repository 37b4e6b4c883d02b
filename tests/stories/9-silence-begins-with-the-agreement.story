The time without evidence counts only while there is something agreed to be known.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 100ms, p50 over 6s, 1 sample of 1 probe

at 0s     agent-1 measures origin 50ms
          shop in carrier-a: origin, below, 50ms
at 1s     agree on shop from 5min
            response_time under 100ms, p50 over 6s, 1 sample of 1 probe
            until 10min
at 6s     shop in carrier-a: origin, unknown (unknown hold)
at 300s   agent-1 measures origin 50ms
          shop in carrier-a: origin, below, 50ms
at 306s   shop in carrier-a: origin, unknown (unknown hold)
at 310s   agree on shop from 15min
            response_time under 100ms, p50 over 6s, 1 sample of 1 probe
            silent for 1min: cdn
at 600s   shop in carrier-a: origin, unknown (no agreement)
at 900s   shop in carrier-a: origin, unknown (unknown hold)
at 960s   shop in carrier-a: cdn edge-one, unknown (unknown hold)
