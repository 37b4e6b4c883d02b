Values have three significant digits: response time rounds down, available bandwidth rounds up.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p75 over 20s, 3 samples of 1 probe
  available_bandwidth above 20Mbit/s, p75 over 20s, 3 samples of 1 probe

at 0s   agent-1 measures origin 149.999ms and 20.001Mbit/s x3
        shop in carrier-a: origin, below, 149ms and 20.1Mbit/s
