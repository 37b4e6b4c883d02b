A failed measurement is worse than any number.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 3600s, p75 over 20s, 3 samples of 1 probe

at 0s   agent-1 measures origin 3599s x3, origin failed
        shop in carrier-a: origin, below, 3590s
at 1s   agent-1 measures origin failed
        shop in carrier-a: cdn edge-one, at-or-above, failed
