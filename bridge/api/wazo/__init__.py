"""Wazo's HTTP interfaces as a dialect: wazo-call-logd, wazo-calld, wazo-confd and wazo-auth, as their clients speak."""
