"""x"""
def evaluate(config):
    from omegaconf import OmegaConf
    print(OmegaConf.to_yaml(config))
