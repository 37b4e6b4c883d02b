A CDN is not used while its latest report says that it is unhealthy, not accepting or full.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (partner)
site shop: origin, then edge-one, then edge-two
  response_time under 100ms, p50 over 20s, 1 sample of 1 probe

at 0s   agent-1 measures origin 200ms, edge-one 50ms, edge-two 60ms
        shop in carrier-a: cdn edge-one, at-or-above, 200ms
at 1s   edge-one reports unhealthy
        shop in carrier-a: cdn edge-two, at-or-above, 200ms, not edge-one (not usable, 500 permille)
at 2s   edge-one reports healthy
        shop in carrier-a: cdn edge-one, at-or-above, 200ms, not edge-two (below, 600 permille)
at 3s   edge-one reports not accepting
        shop in carrier-a: cdn edge-two, at-or-above, 200ms
at 4s   edge-one reports 99Mbit/s of 100Mbit/s
        shop in carrier-a: cdn edge-one, at-or-above, 200ms
at 5s   edge-one reports 100Mbit/s of 100Mbit/s
        shop in carrier-a: cdn edge-two, at-or-above, 200ms
# What is absent in the latest report is unknown, and excludes nothing.
at 6s   edge-one reports accepting
        shop in carrier-a: cdn edge-one, at-or-above, 200ms
# The report of the latest event time counts, not the one that arrives last.
at 7s   edge-one reports unhealthy (2s ago)
        shop in carrier-a: unchanged
