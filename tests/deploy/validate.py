"""What no validator of a package registry checks in the folders of `algodistill deploy`, by the rules of each ecosystem.

validate.py check ECOSYSTEM FOLDER           the rules
validate.py choose FOLDER CORE FLAGS         the library that choose_library.py links for a board with this processor and these flags
validate.py pack FOLDER CORE FLAGS           the library that the conditions of the software pack give such a device
validate.py sizes FOLDER CORE FLASH RAM      its README says what the linked program takes, within 3 %, RAM without the stack
"""

import json
import pathlib
import re
import sys
import xml.etree.ElementTree as xml


def require(condition, problem):
    if not condition:
        raise SystemExit(f"error: {problem}")


def properties(file):
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    require(all("=" in line for line in lines), f"{file}: a line without =")
    return dict(line.split("=", 1) for line in lines)


# Of the specification of Arduino's libraries.
CATEGORIES = [
    "Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing", "Data Storage", "Data Processing", "Other",
]  # fmt: skip


def check_arduino(folder):
    file = folder / "library.properties"
    found = properties(file)
    required = ["name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"]
    require(set(required) <= set(found), f"{file}: expected the fields {required}")
    require(all(found[name] for name in required if name != "url"), f"{file}: an empty field")
    require(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.\- ]{0,62}", found["name"]), f"{file}: name {found['name']}")
    require(re.fullmatch(r"\d+\.\d+\.\d+", found["version"]), f"{file}: version {found['version']}")
    require(found["category"] in CATEGORIES, f"{file}: category {found['category']}")
    require(found["precompiled"] in ("true", "full"), f"{file}: precompiled {found['precompiled']}")
    require(f"lib{found['ldflags'].removeprefix('-l')}.a" == "libalgodistill.a", f"{file}: ldflags {found['ldflags']}")
    for header in found["includes"].split(","):
        require((folder / "src" / header).is_file(), f"{file}: {header} is missing")
    for sketch in (folder / "examples").iterdir():
        require((sketch / f"{sketch.name}.ino").is_file(), f"{sketch}: a sketch has the name of its folder")
    names = [path.name for path in folder.rglob("*")]
    require(not any(name.startswith(".") for name in names), f"{folder}: hidden files")
    require(not any(name.lower() == "extras" and name != "extras" for name in names), f"{folder}: misspelt folder")


def check_platformio(folder):
    manifest = json.loads((folder / "library.json").read_text())
    for example in manifest["examples"]:
        for file in example["files"]:
            require((folder / example["base"] / file).is_file(), f"library.json: {file} is missing")
    for board, expected in [
        ({"build.mcu": "esp32c3"}, "riscv32imc"), ({"build.mcu": "esp32c6"}, "riscv32imac"), ({"build.mcu": "gd32vf103cbt6"}, "riscv32imac"),
        ({"build.mcu": "stm32f446ret6", "build.cpu": "cortex-m4"}, "thumbv7em"),
    ]:  # fmt: skip
        library = choose(folder, board, "")
        require(library.parent.name.startswith(expected), f"{board}: {library}")
    for board, reason in [({"build.mcu": "esp32s3"}, "Xtensa"), ({"build.mcu": "atmega328p"}, "no library")]:
        try:
            choose(folder, board, "")
        except SystemExit as refused:
            require(reason in str(refused), f"{board}: {refused}")
        else:
            require(False, f"{board} is not refused")


def choose(folder, board, flags):
    """Runs the script as PlatformIO does, with as much of its environment as the script uses."""

    class Environment(dict):
        def BoardConfig(self):
            return board

        def Append(self, **values):
            self.update(values)

    class Builder:
        path = str(folder)

    environment = Environment(CCFLAGS=flags.split())
    script = folder / "choose_library.py"
    names = {"env": environment, "pio_lib_builder": Builder, "Import": lambda *names: None}
    exec(compile(script.read_text(), str(script), "exec"), names)
    require(environment["LIBS"] == ["algodistill"], f"{script}: {environment}")
    library = pathlib.Path(environment["LIBPATH"][0]) / "libalgodistill.a"
    require(library.is_file(), f"{script}: {library} is missing")
    return library


def check_zephyr(folder):
    import kconfiglib
    import yaml

    module = yaml.safe_load((folder / "zephyr/module.yml").read_text())
    require(set(module) <= {"name", "build"} and set(module["build"]) <= {"cmake", "kconfig"}, f"module.yml: {module}")
    require((folder / module["build"]["cmake"] / "CMakeLists.txt").is_file(), "module.yml: cmake")
    kconfig = folder / module["build"]["kconfig"]
    require(kconfig.is_file(), "module.yml: kconfig")
    top = folder / "Kconfig.test"
    settings = folder / "samples/agent/prj.conf"
    try:
        for processor, expected in [("CPU_CORTEX_M4", "y"), ("RISCV", "y"), ("XTENSA", "n")]:
            others = 'config MAIN_STACK_SIZE\n\tint "stack"\n'
            top.write_text(f'config {processor}\n\tdef_bool y\n{others}source "{kconfig}"\n')
            loaded = kconfiglib.Kconfig(str(top), warn_to_stderr=False)
            loaded.load_config(str(settings))
            found = loaded.syms["ALGODISTILL"].str_value
            require(found == expected, f"{kconfig}: ALGODISTILL is {found} with {processor}")
            if expected == "y":
                require(not [text for text in loaded.warnings if "undefined symbol ALGODISTILL" in text], str(loaded.warnings))
    finally:
        top.unlink(missing_ok=True)


def conditions(package):
    return {condition.get("id"): condition for condition in package.iter("condition")}


def holds(condition, device, known):
    """All that is required, and one of what is accepted."""

    def one(element):
        if "condition" in element.attrib:
            require(element.get("condition") in known, f"condition {element.get('condition')} is not defined")
            return holds(known[element.get("condition")], device, known)
        return all(device.get(name) == value for name, value in element.attrib.items())

    accepted = [one(element) for element in condition.findall("accept")]
    return all(one(element) for element in condition.findall("require")) and (not accepted or any(accepted))


def check_cmsis_pack(folder):
    (file,) = folder.glob("*.pdsc")
    package = xml.parse(file).getroot()
    vendor, name = package.findtext("vendor"), package.findtext("name")
    require(file.name == f"{vendor}.{name}.pdsc", f"{file}: is not VENDOR.NAME.pdsc")
    allowed = ["vendor", "name", "description", "url", "license", "releases", "conditions", "components"]
    require([child.tag for child in package] == allowed, f"{file}: expected the elements {allowed}")
    require(re.fullmatch(r"\d+\.\d+\.\d+", package.find("releases/release").get("version")), f"{file}: version")
    known = conditions(package)
    used = [element.get("condition") for element in package.iter() if "condition" in element.attrib]
    require(set(used) <= set(known), f"{file}: a condition is not defined: {used}")
    require(set(known) <= set(used), f"{file}: a condition is not used: {list(known)}")
    require((folder / package.findtext("license")).is_file(), f"{file}: license")
    for entry in package.iter("file"):
        require((folder / entry.get("name")).is_file(), f"{file}: {entry.get('name')} is missing")


def pack(folder, core, flags):
    (file,) = folder.glob("*.pdsc")
    package = xml.parse(file).getroot()
    unit = "SP_FPU" if "-mfloat-abi=hard" in flags else "NO_FPU"
    device = {"Dcore": core.replace("cortex-m", "Cortex-M").replace("0plus", "0+"), "Dfpu": unit, "Ddsp": "DSP"}
    known = conditions(package)
    component = package.find("components/component")
    require(holds(known[component.get("condition")], device, known), f"{file}: no component for {device}")
    libraries = [entry for entry in component.iter("file") if entry.get("category") == "library"]
    fitting = [entry.get("name") for entry in libraries if holds(known[entry.get("condition")], device, known)]
    require(len(fitting) == 1, f"{file}: {len(fitting)} libraries for {device}")
    return folder / fitting[0]


def sizes(folder, core, flash, ram):
    readme = folder / "README.md"
    row = re.search(rf"^\| {core} \| (\d+) = .* \| \d+ = (\d+) \+ (\d+) \+ \d+ \|$", readme.read_text(), re.MULTILINE)
    require(row, f"{readme}: no row for {core}")
    said_flash, workspace, agent = map(int, row.groups())
    for name, said, linked in [("flash", said_flash, int(flash)), ("RAM", workspace + agent, int(ram))]:
        require(abs(said - linked) < 0.03 * linked, f"{readme}: {name} of {core} is {said}, the linked program takes {linked}")
        print(f"{folder.name}, {core}: {name} {linked} bytes, README {said}")


def main(command, *arguments):
    if command == "check":
        ecosystem, folder = arguments
        globals()[f"check_{ecosystem.replace('-', '_')}"](pathlib.Path(folder))
        return
    if command == "sizes":
        folder, *arguments = arguments
        sizes(pathlib.Path(folder), *arguments)
        return
    folder, core, flags = arguments
    if command == "choose":
        print(choose(pathlib.Path(folder), {"build.cpu": core, "build.mcu": core}, flags).parent)
    else:
        print(pack(pathlib.Path(folder), core, flags).parent)


main(*sys.argv[1:])
