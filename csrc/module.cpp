// The Python module. Arrays come as addresses of contiguous tensors; src/spikewise/engine/native checks them.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "cache.h"
#include "isa.h"

namespace nb = nanobind;
using namespace spikewise;

namespace {

using Address = std::uintptr_t;

template <class T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

Shape shape(nb::handle h) {
  const auto [c, height, width] = nb::cast<std::tuple<int, int, int>>(h);
  return {c, height, width};
}

StageSpec stage(nb::dict d) {
  auto integer = [&](const char* key) { return nb::cast<int>(d[key]); };
  auto flag = [&](const char* key) { return nb::cast<bool>(d[key]); };
  StageSpec s;
  s.name = nb::cast<std::string>(d["name"]), s.neuron_name = nb::cast<std::string>(d["neuron_name"]);
  s.op = static_cast<Op>(integer("op"));
  s.in = shape(d["in"]), s.made = shape(d["made"]), s.out = shape(d["out"]);
  s.kernel = integer("kernel"), s.stride = integer("stride"), s.padding = integer("padding");
  s.pool = static_cast<PoolKind>(integer("pool")), s.pool_size = integer("pool_size"), s.pool_stride = integer("pool_stride");
  s.reorder = flag("reorder");
  s.neuron = {.kind = static_cast<NeuronKind>(integer("neuron")),
              .reset = static_cast<Reset>(integer("reset")),
              .delay = flag("delay"),
              .reset_gradient = flag("reset_gradient"),
              .threshold_gradient = flag("threshold_gradient"),
              .relative = flag("relative"),
              .recurrent = integer("recurrent") >= 0,
              .bump = static_cast<Bump>(integer("bump")),
              .bump_first = nb::cast<float>(d["bump_first"]),
              .bump_second = nb::cast<float>(d["bump_second"])};
  s.slots = {integer("weight"), integer("bias"), integer("recurrent"), integer("beta"), integer("threshold"), integer("adaptation"),
             integer("adaptation_decay")};
  return s;
}

Kernels kernels_of(const std::string& version) {
  for (const Version& v : versions())
    if (v.name == version) return v.kernels;
  throw nb::value_error("unknown version");
}

struct PlanHolder {
  std::shared_ptr<Plan> plan{new Plan, [](Plan* gone) {
    forget_packed(gone);
    delete gone;
  }};
  Kernels kernels;

  PlanHolder(nb::list stages, nb::tuple image, bool channels_last, const std::string& version) {
    for (nb::handle one : stages) plan->stages.push_back(stage(nb::cast<nb::dict>(one)));
    plan->image = shape(image);
    plan->channels_last = channels_last;
    kernels = kernels_of(version);
  }

  std::unique_ptr<Run> run(nb::dict d) const {
    auto address = [&](const char* key) { return nb::cast<Address>(d[key]); };
    Call call;
    call.batch = nb::cast<int>(d["batch"]), call.steps = nb::cast<int>(d["steps"]), call.threads = nb::cast<int>(d["threads"]);
    call.source = static_cast<Source>(nb::cast<int>(d["source"]));
    call.images = at<std::uint8_t>(address("images")), call.values = at<float>(address("values"));
    call.constant = nb::cast<bool>(d["constant"]);
    call.first_spike = at<std::int32_t>(address("first_spike"));
    call.path = at<std::int32_t>(address("path")), call.threshold = nb::cast<float>(d["threshold"]);
    call.seed = nb::cast<std::uint64_t>(d["seed"]), call.epoch = nb::cast<std::uint32_t>(d["epoch"]);
    call.index = at<std::int64_t>(address("index"));
    for (const auto& [data, count] : nb::cast<std::vector<std::tuple<Address, std::size_t>>>(d["parameters"]))
      call.parameters.push_back({at<float>(data), count});
    for (const auto& [v, z, a] : nb::cast<std::vector<std::tuple<Address, Address, Address>>>(d["state"]))
      call.state.push_back({at<float>(v), at<float>(z), at<float>(a)});
    for (Address mask : nb::cast<std::vector<Address>>(d["dropout"])) call.dropout.push_back(at<std::uint8_t>(mask));
    call.frozen = nb::cast<std::uint64_t>(d["frozen"]);
    call.keep = nb::cast<bool>(d["keep"]), call.keep_membranes = nb::cast<bool>(d["keep_membranes"]);
    call.spikes = at<float>(address("spikes")), call.membrane = at<float>(address("membrane"));
    const nb::gil_scoped_release release;
    return kernels.forward(plan, call);
  }
};

void backward(Run& run, Address spikes, Address membrane, const std::vector<std::tuple<Address, Address>>& recorded,
              const std::vector<Address>& gradients, int threads) {
  BackwardCall call{.spikes = at<float>(spikes), .membrane = at<float>(membrane), .threads = threads};
  for (const auto& [z, v] : recorded) call.recorded.push_back({at<float>(z), at<float>(v)});
  for (Address one : gradients) call.gradients.push_back(at<float>(one));
  const nb::gil_scoped_release release;
  run.backward(call);
}

// `key` is (seed, stream), `place` (step, epoch); numbers where `floats`, else bytes.
void draw(const std::string& version, std::tuple<std::uint32_t, std::uint32_t> key, std::tuple<std::uint32_t, std::uint32_t> place,
          std::tuple<Address, int> index, std::size_t count, bool floats, Address out, int threads) {
  const Kernels kernels = kernels_of(version);
  DrawCall call;
  std::tie(call.seed, call.stream) = key;
  std::tie(call.step, call.epoch) = place;
  call.index = at<std::int64_t>(std::get<0>(index)), call.images = std::get<1>(index);
  call.count = count, call.threads = threads;
  const nb::gil_scoped_release release;
  if (floats) kernels.draw_uniform(call, at<float>(out));
  else kernels.draw_bytes(call, at<std::uint8_t>(out));
}

}  // namespace

NB_MODULE(_native, m) {
  nb::set_leak_warnings(false);  // plans are cached until the interpreter ends
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const NotFinite& error) {
      PyErr_SetString(PyExc_FloatingPointError, error.stage.c_str());
    }
  });
  nb::class_<Run>(m, "Run")
      .def("backward", &backward)
      .def("count", [](const Run& run, int stage, Address out) { run.count(stage, at<float>(out)); })
      .def("spikes", [](const Run& run, int stage, Address out) { run.dense_spikes(stage, at<float>(out)); })
      .def("membranes", [](const Run& run, int stage, Address out) { run.dense_membranes(stage, at<float>(out)); })
      .def("state", [](const Run& run, int stage, Address v, Address z, Address a) { run.end_state(stage, at<float>(v), at<float>(z), at<float>(a)); })
      .def("bytes", &Run::bytes);
  nb::class_<PlanHolder>(m, "Plan")
      .def(nb::init<nb::list, nb::tuple, bool, const std::string&>())
      .def("run", &PlanHolder::run);
  m.def("draw", &draw);
  m.def("versions", [] {
    std::vector<std::string> names;
    for (const Version& v : versions()) names.push_back(v.name);
    return names;
  });
}
