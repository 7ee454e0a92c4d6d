"""Which training is this? What has to be the same for a training to go on exactly."""

import json

import keras


def architecture(model: keras.Model) -> dict:
    """The configuration of the network without names and seeds, which differ from run to run."""
    try:
        config = json.loads(model.to_json())
    except (NotImplementedError, TypeError, ValueError):
        return {"class": type(model).__name__}  # the shapes of its variables are compared anyway
    numbers: dict[str, int] = {}

    def collect(value):
        if isinstance(value, dict):
            if isinstance(value.get("name"), str):
                numbers.setdefault(value["name"], len(numbers))
            value = list(value.values())
        for item in value if isinstance(value, list) else ():
            collect(item)

    def without_names(value):
        if isinstance(value, dict):
            return {k: without_names(v) for k, v in value.items() if k != "seed"}
        if isinstance(value, list):
            return [without_names(item) for item in value]
        return f"object {numbers[value]}" if isinstance(value, str) and value in numbers else value

    config = config["config"]
    collect(config)
    config = without_names(config)
    layers = config.pop("layers", None) if isinstance(config, dict) else None
    described = {"configuration": json.dumps(config, sort_keys=True)}
    for i, layer in enumerate(layers or ()):
        described[f"layer {i + 1}"] = json.dumps(layer, sort_keys=True)
    return described


def optimizer_settings(optimizer) -> dict:
    """Class and settings. The learning rate is a variable and backed up as such."""
    if optimizer is None:
        return {}

    def cleaned(value):
        if not isinstance(value, dict):
            return value
        return {
            key: cleaned(item)
            for key, item in value.items()
            if key != "name" and not (key == "learning_rate" and isinstance(item, (int, float)))
        }

    serialized = cleaned(keras.optimizers.serialize(optimizer))
    settings = serialized.pop("config", {})
    described = {"class": serialized.get("class_name"), **settings}
    return {key: json.dumps(value, sort_keys=True, default=str) for key, value in described.items()}
