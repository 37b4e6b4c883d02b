Of several objectives any at-or-above decides, else any unknown, else the site is below.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p75 over 20s, 3 samples of 1 probe
  available_bandwidth above 20Mbit/s, p75 over 60s, 3 samples of 1 probe

at 0s   agent-1 measures origin 100ms x3
        shop in carrier-a: origin, unknown (cold start), 100ms and no value
at 1s   agent-1 measures origin 50Mbit/s x3
        shop in carrier-a: origin, below, 100ms and 50Mbit/s
# At 20s the response time is unknown.
at 20s  shop in carrier-a: origin, unknown (unknown hold), no value and 50Mbit/s
at 21s  agent-1 measures origin 10Mbit/s x3
        shop in carrier-a: cdn edge-one, at-or-above, no value and 10Mbit/s
