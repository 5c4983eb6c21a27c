// The Python module. Arrays come as addresses of contiguous tensors; src/spikewise/engine/native checks them.
#include <nanobind/nanobind.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "cache.h"
#include "isa.h"
#include "memory.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace spikewise;

namespace {

using Address = std::uintptr_t;

template <class T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
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

  PlanHolder(std::vector<StageSpec> stages, Shape image, bool channels_last, const std::string& version) : kernels(kernels_of(version)) {
    plan->stages = std::move(stages), plan->image = image, plan->channels_last = channels_last;
  }

  std::unique_ptr<Run> run(const Call& call) const {
    const nb::gil_scoped_release release;
    return kernels.forward(plan, call);
  }
};

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

// A field that holds an array: Python sets its address.
template <class Owner, class T>
void array(nb::class_<Owner>& bound, const char* name, T* Owner::* field) {
  bound.def_prop_rw(
      name, [field](const Owner& self) { return reinterpret_cast<Address>(self.*field); },
      [field](Owner& self, Address address) { self.*field = at<T>(address); });
}

void bind_enums(nb::module_& m) {
  nb::enum_<Op>(m, "Op")
      .value("none", Op::none)
      .value("linear", Op::linear)
      .value("conv", Op::conv)
      .value("norm", Op::norm)
      .value("activation", Op::activation)
      .value("spiking_activation", Op::spiking_activation)
      .value("dropout", Op::dropout)
      .value("sum", Op::sum);
  nb::enum_<PoolKind>(m, "PoolKind")
      .value("none", PoolKind::none)
      .value("max", PoolKind::max)
      .value("avg", PoolKind::avg)
      .value("sum", PoolKind::sum);
  nb::enum_<Function>(m, "Function")
      .value("relu", Function::relu)
      .value("leaky_relu", Function::leaky_relu)
      .value("sigmoid", Function::sigmoid)
      .value("tanh", Function::tanh)
      .value("softplus", Function::softplus)
      .value("gelu", Function::gelu);
  nb::enum_<NeuronKind>(m, "NeuronKind")
      .value("none", NeuronKind::none)
      .value("spiking", NeuronKind::spiking)
      .value("adaptive", NeuronKind::adaptive)
      .value("current_based", NeuronKind::current_based)
      .value("izhikevich", NeuronKind::izhikevich)
      .value("integrator", NeuronKind::integrator);
  nb::enum_<Reset>(m, "Reset").value("subtract", Reset::subtract).value("zero", Reset::zero).value("none", Reset::none);
  nb::enum_<Surrogate>(m, "Surrogate")
      .value("fast_sigmoid", Surrogate::fast_sigmoid)
      .value("atan", Surrogate::atan)
      .value("triangle", Surrogate::triangle)
      .value("boxcar", Surrogate::boxcar)
      .value("sigmoid", Surrogate::sigmoid)
      .value("straight_through", Surrogate::straight_through);
  nb::enum_<Source>(m, "Source")
      .value("rate", Source::rate)
      .value("latency", Source::latency)
      .value("periodic", Source::periodic)
      .value("direct", Source::direct)
      .value("values", Source::values)
      .value("delta", Source::delta);
  nb::enum_<NeuronParameter>(m, "NeuronParameter")
      .value("beta", NeuronParameter::beta)
      .value("threshold", NeuronParameter::threshold)
      .value("adaptation", NeuronParameter::adaptation)
      .value("adaptation_decay", NeuronParameter::adaptation_decay)
      .value("alpha", NeuronParameter::alpha)
      .value("gain", NeuronParameter::gain);
  nb::enum_<StateVariable>(m, "StateVariable")
      .value("v", StateVariable::v)
      .value("z", StateVariable::z)
      .value("a", StateVariable::a)
      .value("i", StateVariable::i)
      .value("u", StateVariable::u);
  nb::enum_<Weight>(m, "Weight")
      .value("weight", Weight::weight)
      .value("bias", Weight::bias)
      .value("recurrent", Weight::recurrent)
      .value("running_mean", Weight::running_mean)
      .value("running_var", Weight::running_var);
}

void bind_plan(nb::module_& m) {
  nb::class_<Shape>(m, "Shape")
      .def(
          "__init__", [](Shape* self, int c, int h, int w) { new (self) Shape{c, h, w}; }, "c"_a, "h"_a = 1, "w"_a = 1)
      .def("__eq__", [](const Shape& a, const Shape& b) { return a.c == b.c && a.h == b.h && a.w == b.w; });
  nb::class_<Pair>(m, "Pair").def("__init__", [](Pair* self, int h, int w) { new (self) Pair{h, w}; });
  nb::class_<IzhikevichSpec>(m, "IzhikevichSpec")
      .def(nb::init<>())
      .def_rw("k", &IzhikevichSpec::k)
      .def_rw("b", &IzhikevichSpec::b)
      .def_rw("c", &IzhikevichSpec::c)
      .def_rw("d", &IzhikevichSpec::d)
      .def_rw("v_rest", &IzhikevichSpec::v_rest)
      .def_rw("v_threshold", &IzhikevichSpec::v_threshold)
      .def_rw("v_peak", &IzhikevichSpec::v_peak)
      .def_rw("rate", &IzhikevichSpec::rate)
      .def_rw("recovery", &IzhikevichSpec::recovery);
  nb::class_<NeuronSpec>(m, "NeuronSpec")
      .def(nb::init<>())
      .def_rw("kind", &NeuronSpec::kind)
      .def_rw("reset", &NeuronSpec::reset)
      .def_rw("delay", &NeuronSpec::delay)
      .def_rw("reset_gradient", &NeuronSpec::reset_gradient)
      .def_rw("threshold_gradient", &NeuronSpec::threshold_gradient)
      .def_rw("relative", &NeuronSpec::relative)
      .def_rw("recurrent", &NeuronSpec::recurrent)
      .def_rw("surrogate", &NeuronSpec::surrogate)
      .def_rw("surrogate_first", &NeuronSpec::surrogate_first)
      .def_rw("surrogate_second", &NeuronSpec::surrogate_second)
      .def_rw("izhikevich", &NeuronSpec::izhikevich);
  nb::class_<StageSpec>(m, "StageSpec")
      .def(nb::init<>())
      .def_rw("name", &StageSpec::name)
      .def_rw("neuron_name", &StageSpec::neuron_name)
      .def_rw("op", &StageSpec::op)
      .def_rw("inputs", &StageSpec::inputs)
      .def_rw("in_shape", &StageSpec::in)
      .def_rw("made", &StageSpec::made)
      .def_rw("out", &StageSpec::out)
      .def_rw("kernel", &StageSpec::kernel)
      .def_rw("stride", &StageSpec::stride)
      .def_rw("padding", &StageSpec::padding)
      .def_rw("pool", &StageSpec::pool)
      .def_rw("pool_size", &StageSpec::pool_size)
      .def_rw("pool_stride", &StageSpec::pool_stride)
      .def_rw("pool_padding", &StageSpec::pool_padding)
      .def_rw("function", &StageSpec::function)
      .def_rw("dt", &StageSpec::dt)
      .def_rw("epsilon", &StageSpec::epsilon)
      .def_rw("kept", &StageSpec::kept)
      .def_rw("neuron", &StageSpec::neuron)
      .def_rw("reorder", &StageSpec::reorder)
      .def("place", [](StageSpec& self, Weight w, int slot) { self.weights[w] = slot; })
      .def("place", [](StageSpec& self, NeuronParameter p, int slot) { self.neuron_parameters[p] = slot; });
  nb::class_<PlanHolder>(m, "Plan").def(nb::init<std::vector<StageSpec>, Shape, bool, const std::string&>()).def("run", &PlanHolder::run);
}

void bind_calls(nb::module_& m) {
  nb::class_<Call> call(m, "Call");
  call.def(nb::init<>())
      .def_rw("batch", &Call::batch)
      .def_rw("steps", &Call::steps)
      .def_rw("threads", &Call::threads)
      .def_rw("source", &Call::source)
      .def_rw("constant", &Call::constant)
      .def_rw("threshold", &Call::threshold)
      .def_rw("seed", &Call::seed)
      .def_rw("epoch", &Call::epoch)
      .def_rw("frozen", &Call::frozen)
      .def_rw("batch_statistics", &Call::batch_statistics)
      .def_rw("exchange", &Call::exchange)
      .def_rw("keep", &Call::keep)
      .def_rw("keep_membranes", &Call::keep_membranes)
      .def_rw("counted", &Call::counted)
      .def("add_parameter", [](Call& self, Address data, std::size_t count) { self.parameters.push_back({at<float>(data), count}); })
      .def("add_dropout", [](Call& self, Address mask) { self.dropout.push_back(at<std::uint8_t>(mask)); })
      .def("add_state", [](Call& self) { self.state.push_back(StateIn::all(nullptr)); })
      .def("set_state", [](Call& self, StateVariable variable, Address address) { self.state.back()[variable] = at<float>(address); });
  array(call, "images", &Call::images);
  array(call, "values", &Call::values);
  array(call, "first_spike", &Call::first_spike);
  array(call, "path", &Call::path);
  array(call, "index", &Call::index);
  array(call, "spikes", &Call::spikes);
  array(call, "membrane", &Call::membrane);
  nb::class_<BackwardCall> back(m, "BackwardCall");
  back.def(nb::init<>())
      .def_rw("threads", &BackwardCall::threads)
      .def("add_recorded",
           [](BackwardCall& self, Address spikes, Address membrane) { self.recorded.push_back({at<float>(spikes), at<float>(membrane)}); })
      .def("add_gradient", [](BackwardCall& self, Address gradient) { self.gradients.push_back(at<float>(gradient)); });
  array(back, "input", &BackwardCall::input);
  nb::class_<StateOut>(m, "StateOut")
      .def("__init__", [](StateOut* self) { new (self) StateOut(StateOut::all(nullptr)); })
      .def("set", [](StateOut& self, StateVariable variable, Address address) { self[variable] = at<float>(address); });
}

}  // namespace

NB_MODULE(_native, m) {
  m.attr("IMAGE") = kImage;
  nb::set_leak_warnings(false);  // plans are cached until the interpreter ends
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const NotFinite& error) {
      PyErr_SetString(PyExc_FloatingPointError, error.stage.c_str());
    }
  });
  bind_enums(m);
  bind_plan(m);
  bind_calls(m);
  using Released = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<Run>(m, "Run")
      .def("backward", &Run::backward, Released())
      .def(
          "count",
          [](const Run& run, int stage, float quantum, bool dropped, Address out) { return run.count(stage, quantum, dropped, at<float>(out)); },
          Released())
      .def("statistics", [](const Run& run, int stage, Address mean, Address var) { return run.statistics(stage, at<float>(mean), at<float>(var)); })
      .def(
          "spikes", [](const Run& run, int stage, Address out) { run.dense_spikes(stage, at<float>(out)); }, Released())
      .def(
          "membranes", [](const Run& run, int stage, Address out) { run.dense_membranes(stage, at<float>(out)); }, Released())
      .def(
          "output", [](const Run& run, int stage, Address out) { run.dense_output(stage, at<float>(out)); }, Released())
      .def("state", &Run::end_state, Released())
      .def("bytes", &Run::bytes);
  m.def("draw", &draw);
  m.def("release_memory", &release_memory);
  m.def("versions", [] {
    std::vector<std::string> names;
    for (const Version& v : versions()) names.push_back(v.name);
    return names;
  });
}
