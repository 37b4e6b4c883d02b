A measurement that the probe refused to make, or made while it was cut off itself, says nothing of the target.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p75 over 20s, 3 samples of 1 probe

at 0s   agent-1 measures origin refused x9, origin cut off x9
        shop in carrier-a: origin, unknown (cold start)
at 1s   agent-1 measures origin 100ms x3
        shop in carrier-a: origin, below, 100ms, 3 samples of 1 probe
at 2s   agent-1 measures origin refused x9, origin cut off x9, edge-one refused
        shop in carrier-a: unchanged
# The windows hold the three measurements alone, so they are empty once these have left.
at 21s  agent-1 measures origin refused x9
        shop in carrier-a: origin, unknown (unknown hold)
