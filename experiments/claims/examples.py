"""What the paper says of Shapeset-3x2 itself: section 2.1 and Fig. 1."""

from experiments.claims.predicates.errors import BEGUN, PLATEAU, SAMPLING_ERRORS, one_class_error
from experiments.claims.predicates.examples import classes_shown
from experiments.claims.verdict import Claim, on

CLAIMS = (
    Claim(
        id="fig01-classes",
        where="Section 2.1 and Fig. 1",
        paper="An image shows one or two shapes of three kinds on a ground, each shape with a grey "
        "level of its own: nine classes.",
        sentence="The examples show all nine classes at 32 x 32 and at 64 x 64, and every image "
        "has one grey level more than its class has shapes.",
        figure="fig01",
        test=on("examples", classes_shown),
        if_it_fails="Too few examples were drawn to show the rarer classes, or a shape hides "
        "another or its label is wrong, which is a mistake in the generator; the image with the "
        "wrong number of levels would tell which.",
    ),
    Claim(
        id="fig01-one-class-error",
        where="Section 2.1",
        paper="One shape or two are equally likely, so a class of one shape has probability 1/6 "
        "and always answering one of them errs in 83.3%.",
        sentence="While it has learned nothing of the images (a test error above "
        f"{BEGUN * PLATEAU:.0%}), the sigmoid net of 5 layers errs, as the median over "
        f"checkpoints, in 5/6 of the test examples to within {SAMPLING_ERRORS} sampling errors; "
        "nine equally likely classes would give 8/9.",
        figure="fig01",
        test=on("shapeset", one_class_error),
        if_it_fails="Either the classes' frequencies are not the generator's, and counting the "
        "labels of the test set decides that, or the net had already learned something of the "
        "images at most of these checkpoints.",
    ),
)
