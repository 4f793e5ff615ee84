"""Pages made from the templates that lie in the package."""

import jinja2


def template(package: str, name: str) -> jinja2.Template:
    """The template ``name`` of ``package``; what it isn't given is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
