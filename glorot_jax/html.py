"""Pages made from the templates that lie in the package."""

import jinja2


def template(folder: str, name: str) -> jinja2.Template:
    """The template ``name`` of the package's ``folder``; what it isn't given is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("glorot_jax", folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
