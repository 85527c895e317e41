"""markov_attribution() and shapley_attribution() beside two published implementations, on the same journeys.

    python3 -m venv target/bench/path_models
    target/bench/path_models/bin/pip install -r tests/bench/requirements-path-models.txt
    target/bench/path_models/bin/python -B tests/bench/path_models.py

Prints, for each pair, the largest and the mean difference of a campaign's share, in percentage points. What to expect:

* marketing-attribution-models solves the chain of order 1 as well: equal, but for rounding.
* ChannelAttribution walks the chain at random until its shares move by less than 5 %: near, at any order, and nearer with a
  smaller conv_par. (Left to itself it also cuts off walks that are longer than the longest journey: hence max_step.)
* marketing-attribution-models plays a Shapley game of its own in each set of channels, worth what journeys of exactly
  that subset brought; ours is one game, and a coalition is worth what all journeys within it brought: not equal.
"""

import argparse
import json

import ChannelAttribution
import pandas
import polars
from harness import Cluster
from history import prepare_history
from mam.models.markov import MarkovModel
from mam.models.shapley import ShapleyModel

JOURNEYS = """
    SELECT json_build_array(channels, sum(converted), sum(lost))
    FROM _postback.journeys('campaign', '-infinity', 'infinity', NULL, 'offer', '{pending,approved}', true) GROUP BY channels
"""
FUNCTIONS = {
    **{f"markov order {order}": f"markov_attribution('campaign', chain_order => {order})" for order in (1, 2, 3)},
    **{f"shapley {worth}": f"shapley_attribution('campaign', worth => '{worth}')" for worth in ("conversions", "rate")},
}


def ours(cluster):
    query = "SELECT DISTINCT ON (channel_id) channel_id, share FROM postback."
    return {name: dict(line.split("|") for line in cluster.sql(query + call)) for name, call in FUNCTIONS.items()}


def by_simulation(journeys, order):
    table = pandas.DataFrame(
        [(" > ".join(map(str, channels)), converted, lost) for channels, converted, lost in journeys],
        columns=["path", "converted", "lost"],
    )
    result = ChannelAttribution.markov_model(
        table, "path", "converted", var_null="lost", order=order, max_step=1000, sep=">", verbose=False, flg_pro=False
    )
    return dict(zip(result["channel_name"], result["total_conversions"]))


def as_polars(journeys):
    """One row for the journeys of a way that converted, one for those that did not."""
    rows = [
        {"channels": list(map(str, channels)), "has_conversion": has_conversion, "weight": weight}
        for channels, converted, lost in journeys
        for has_conversion, weight in ((True, converted), (False, lost))
        if weight
    ]
    return polars.DataFrame(rows).with_row_index("journey_id").with_columns(
        conversion_value=polars.col("has_conversion").cast(polars.Float64)
    )


def by_mam(model, journeys):
    return dict(model.get_aggregated_results(as_polars(journeys)).iter_rows())


def mam_markov(journeys):
    """Its removal effects: its credit of single conversions is a further step, which ours does not take."""
    model = MarkovModel()
    model.calculate(as_polars(journeys))
    return model.removal_effect_df["removal_effect"].to_dict()


def compare(name, found, published):
    """Both made into percentages of their sums."""
    found, published = ({channel: 100 * float(value) / sum(map(float, shares.values())) for channel, value in shares.items()}
                        for shares in (found, published))
    differences = [abs(found.get(channel, 0) - published.get(channel, 0)) for channel in found.keys() | published.keys()]
    print(f"{name:<70} largest {max(differences):.10f}  mean {sum(differences) / len(differences):.10f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=500_000, help="clicks in the month")
    options = parser.parse_args()
    with Cluster() as cluster:
        prepare_history(cluster, options.clicks)
        journeys = [json.loads(line) for line in cluster.sql(JOURNEYS)]
        shares = ours(cluster)
    print(f"{len(journeys)} ways, {sum(j[1] for j in journeys)} conversions, {sum(j[2] for j in journeys)} journeys without one, "
          f"{len(shares['markov order 1'])} campaigns; shares in percent")
    compare("markov order 1, marketing-attribution-models", shares["markov order 1"], mam_markov(journeys))
    for order in (1, 2, 3):
        compare(f"markov order {order}, ChannelAttribution", shares[f"markov order {order}"], by_simulation(journeys, order))
    for worth, column in (("conversions", "conversions"), ("rate", "conv_rate")):
        model = ShapleyModel(max_size=8, value_column=column)
        compare(f"shapley {worth}, marketing-attribution-models by {column}", shares[f"shapley {worth}"], by_mam(model, journeys))


if __name__ == "__main__":
    main()
