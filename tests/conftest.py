"""What all tests share: Hypothesis without a clock, since this is no benchmark."""

from hypothesis import HealthCheck, settings

settings.register_profile("headwater", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headwater")
